using System.CommandLine;
using P2PWeights.Bench.Measuring;
using P2PWeights.Store.Content;

namespace P2PWeights.Bench.Paths;

/// <summary><c>bench paths</c>: each path against what people would use in its place, in rate and in processor time.</summary>
internal static class PathsBench
{
    public const string Unit = "GB/s";

    public static Command CreateCommand()
    {
        var paths = new Option<string[]>("--path")
        {
            Description = "Paths to measure: local, tcp, rdma, nvlink. Default: all but nvlink, which needs a GPU.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["local", "tcp", "rdma"],
            CustomParser = result => [.. result.Tokens.SelectMany(token => token.Value.Split(',')).Distinct()],
        };
        paths.Validators.Add(result =>
        {
            foreach (var unknown in result.Tokens.SelectMany(token => token.Value.Split(',')).Except(["local", "tcp", "rdma", "nvlink"]))
            {
                result.AddError($"--path takes local, tcp, rdma and nvlink, not '{unknown}'");
            }
        });
        var sizes = CommonOptions.Sizes("--size", "Sizes of the checkpoint.", "512MiB");
        var command = new Command("paths", "Each path against the tools for it: cp and memcpy; iperf3, and nginx with curl; ib_read_bw; a plain copy between GPUs.") { paths, sizes };
        command.SetAction((arguments, cancellationToken) => RunAsync(
            arguments.GetRequiredValue(paths),
            arguments.GetRequiredValue(sizes),
            arguments.GetValue(CommonOptions.Runs),
            FigureWriter.For(arguments),
            cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(string[] paths, long[] sizes, int runs, FigureWriter writer, CancellationToken cancellationToken)
    {
        Contest[] contests = [.. paths.Select(ContestOf)];
        Tool.Require(contests.SelectMany(contest => contest.Tools));
        writer.Explain($"On loopback of this machine, which has {Environment.ProcessorCount} cores; nodes and tools are processes of their own, and warm. CPU: user and system time of both sides' processes.");
        foreach (var contest in contests)
        {
            contest.Explain(writer);
            foreach (var size in sizes)
            {
                var label = ByteSize.Format(size).Replace(" ", "", StringComparison.Ordinal);
                await contest.RunAsync(size, runs, label, writer, cancellationToken);
            }
        }

        return 0;
    }

    private static Contest ContestOf(string path) => path switch
    {
        "local" => new Contest(LocalContest.Tools, LocalContest.Explain, LocalContest.RunAsync),
        "nvlink" => new Contest(NvlinkContest.Tools, NvlinkContest.Explain, NvlinkContest.RunAsync),
        "tcp" => new Contest(TcpContest.Tools, TcpContest.Explain, TcpContest.RunAsync),
        _ => new Contest(RdmaContest.Tools, RdmaContest.Explain, RdmaContest.RunAsync),
    };

    /// <summary>What measures one path.</summary>
    /// <param name="Tools">What it needs.</param>
    /// <param name="Explain">Says what its figures compare.</param>
    /// <param name="RunAsync">Measures a size, which the names of its figures have as a label, in so many runs.</param>
    private sealed record Contest(
        IReadOnlyList<Tool> Tools, Action<FigureWriter> Explain, Func<long, int, string, FigureWriter, CancellationToken, Task> RunAsync);
}
