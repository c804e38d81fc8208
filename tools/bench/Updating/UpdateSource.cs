using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Bench.Updating;

/// <summary>
/// The publishing side of <c>bench update --end-to-end</c>: tracker and node of the product in a process of their own, which needs no .NET on the machine. Publishes each folder under its name, says
/// <c>ready TRACKER</c>, and serves until its standard input ends.
/// </summary>
internal static class UpdateSource
{
    public const string Name = "update-source";
    public const string ReadyWord = "ready";

    private static readonly Argument<string[]> Folders = new("folder") { Arity = ArgumentArity.OneOrMore };

    public static Command CreateCommand()
    {
        var command = new Command(Name, "The publisher of 'bench update --end-to-end'; started by it.") { Folders };
        command.Hidden = true;
        command.SetAction((arguments, cancellationToken) => RunAsync(arguments.GetRequiredValue(Folders), cancellationToken));
        return command;
    }

    /// <summary>The checkpoint that a folder is published as.</summary>
    public static string CheckpointOf(string folder) => $"bench/{Path.GetFileName(folder)}@1";

    private static async Task<int> RunAsync(string[] folders, CancellationToken cancellationToken)
    {
        using var own = new SharedMemoryFolder("-source");
        await using var tracker = await TrackerServer.StartAsync(
            new TrackerOptions { Listen = "127.0.0.1:0", DataDirectory = own["tracker"] }, TimeProvider.System, NullLoggerFactory.Instance, cancellationToken);
        await using var node = await PeerNode.StartAsync(
            new NodeOptions
            {
                Name = "source",
                Trackers = [tracker.Address],
                DataDirectory = own["node"],
                ArenaRoot = own.Path,
                MemoryBytes = 0,
                DiskBytes = 64L << 20,
                Paths = [PathNames.Tcp],
                Ephemeral = true,
            },
            TimeProvider.System, NullLoggerFactory.Instance, cancellationToken);
        foreach (var folder in folders)
        {
            await node.PublishAsync(new PublishRequest(folder, CheckpointOf(folder), Copy: false, [], new Dictionary<string, string>()), null, cancellationToken);
        }

        Console.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{ReadyWord} {tracker.Address}"));
        await Console.In.ReadToEndAsync(cancellationToken);
        return 0;
    }
}
