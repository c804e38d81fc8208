using System.CommandLine;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Bench.Measuring;
using P2PWeights.Store;
using P2PWeights.Transfer;

namespace P2PWeights.Bench.Paths;

/// <summary>The side that holds the shards: store and transfer service of the product in a process of its own, a <see cref="SourceProcess"/> to its reader.</summary>
internal static class RdmaSource
{
    public const string Name = "rdma-source";

    /// <summary>A command for this program itself.</summary>
    public static Command CreateCommand()
    {
        var device = new Option<string>("--device") { Required = true };
        var command = new Command(Name) { device };
        command.Hidden = true;
        command.SetAction((arguments, cancellationToken) => RunAsync(arguments.GetRequiredValue(device), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(string device, CancellationToken cancellationToken)
    {
        using var folder = new SharedMemoryFolder();
        await using var store = await OpenStoreAsync(folder, cancellationToken);
        var number = 0;
        foreach (var shard in BenchShards.Describe())
        {
            using var write = await store.BeginWriteAsync(shard, default, cancellationToken);
            BenchShards.Fill(number++, write.Buffer.Span);
            await write.CommitAsync(cancellationToken);
        }

        var options = new TransferOptions { Name = "source", Paths = [PathNames.Rdma], RdmaDevices = [device] };
        await using var service = new TransferService(store, options, TimeProvider.System, NullLoggerFactory.Instance);
        await service.StartAsync(cancellationToken);
        await service.Rdma!.Ready.WaitAsync(cancellationToken);
        return await SourceProcess.ServeAsync(store, service, cancellationToken);
    }

    /// <summary>A store in memory with room for the shards and as many more.</summary>
    public static Task<ShardStore> OpenStoreAsync(SharedMemoryFolder folder, CancellationToken cancellationToken) => ShardStore.OpenAsync(
        new StoreOptions
        {
            DataDirectory = folder["data"],
            ArenaRoot = folder.Path,
            MemoryBytes = 2L * (BenchShards.Count + 1) * BenchShards.Bytes,
            Ephemeral = true,
            ScrubBytesPerSecond = 0,
        },
        TimeProvider.System,
        NullLoggerFactory.Instance,
        cancellationToken);
}
