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
            Description = "Paths to measure: local, tcp, rdma. Default: all.",
            AllowMultipleArgumentsPerToken = true,
            DefaultValueFactory = _ => ["local", "tcp", "rdma"],
            CustomParser = result => [.. result.Tokens.SelectMany(token => token.Value.Split(',')).Distinct()],
        };
        paths.Validators.Add(result =>
        {
            foreach (var unknown in result.Tokens.SelectMany(token => token.Value.Split(',')).Except(["local", "tcp", "rdma"]))
            {
                result.AddError($"--path takes local, tcp and rdma, not '{unknown}'");
            }
        });
        var sizes = CommonOptions.Sizes("--size", "Sizes of the checkpoint.", "512MiB");
        var command = new Command("paths", "Each path against the tools for it: cp and memcpy; iperf3, and nginx with curl; ib_read_bw.") { paths, sizes };
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
        Tool.Require(paths.SelectMany(ToolsOf));
        writer.Explain($"On loopback of this machine, which has {Environment.ProcessorCount} cores; nodes and tools are processes of their own, and warm. CPU: user and system time of both sides' processes.");
        foreach (var path in paths)
        {
            (path == "tcp" ? TcpContest.Explain : (Action<FigureWriter>)LocalContest.Explain)(writer);
            foreach (var size in sizes)
            {
                var label = ByteSize.Format(size).Replace(" ", "", StringComparison.Ordinal);
                await (path == "tcp" ? TcpContest.RunAsync(size, runs, label, writer, cancellationToken) : LocalContest.RunAsync(size, runs, label, writer, cancellationToken));
            }
        }

        return 0;
    }

    private static IReadOnlyList<Tool> ToolsOf(string path) => path == "tcp" ? TcpContest.Tools : LocalContest.Tools;
}
