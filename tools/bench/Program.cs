using System.CommandLine;
using P2PWeights.Bench;
using P2PWeights.Bench.Hashing;
using P2PWeights.Bench.Measuring;
using P2PWeights.Bench.Paths;
using P2PWeights.Bench.Pulling;
using P2PWeights.Bench.Swarm;
using P2PWeights.Bench.Syncing;
using P2PWeights.Bench.Updating;
using P2PWeights.Client;

var root = new RootCommand("Side-by-side benchmarks: every figure is ours against a tool that people know, in alternating runs on this machine.")
{
    CommonOptions.Json,
    CommonOptions.Runs,
    HashBench.CreateCommand(),
    PullBench.CreateCommand(),
    PathsBench.CreateCommand(),
    SwarmBench.CreateCommand(),
    StressBench.CreateCommand(),
    RdmaSource.CreateCommand(),
    TrackerBench.CreateCommand(),
    UpdateBench.CreateCommand(),
    EngineChild.CreateCommand(),
};

using var stop = new CancellationTokenSource();
Console.CancelKeyPress += (_, e) =>
{
    e.Cancel = true;
    stop.Cancel();
};

try
{
    return await root.Parse(args).InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false }, stop.Token);
}
catch (Exception error) when (error is BenchException or NodeException)
{
    await Console.Error.WriteLineAsync(error.Message);
    return 1;
}
catch (OperationCanceledException)
{
    return 130;
}
