using Microsoft.Extensions.Logging.Abstractions;

namespace P2PWeights.Tracker.Tests;

/// <summary>
/// The test assembly as a program: a tracker in a process of its own, for tests that kill it. Started with the data folder as the only argument, it prints its
/// address and runs until its standard input ends.
/// </summary>
internal static class Program
{
    private static async Task Main(string[] arguments)
    {
        var options = new TrackerOptions { Listen = "127.0.0.1:0", DataDirectory = arguments[0] };
        await using var server = await TrackerServer.StartAsync(options, TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
        await Console.Out.WriteLineAsync(server.Address.ToString());
        await Console.In.ReadToEndAsync();
    }
}
