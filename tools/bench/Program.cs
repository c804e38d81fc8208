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
using P2PWeights.Client.Updating;

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
    NvlinkSource.CreateCommand(),
    TrackerBench.CreateCommand(),
    UpdateBench.CreateCommand(),
    EngineChild.CreateCommand(),
    UpdateSource.CreateCommand(),
};

// On SIGINT and SIGTERM a bench ends its processes and removes what it put into memory, which takes seconds with many nodes.
var invocation = new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromSeconds(30) };

try
{
    return await root.Parse(args).InvokeAsync(invocation);
}
catch (Exception error) when (error is BenchException or NodeException or UpdateException)
{
    await Console.Error.WriteLineAsync(error.Message);
    return 1;
}
catch (OperationCanceledException)
{
    return 130;
}
