using System.CommandLine;
using P2PWeights.Cli.Demo;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Client;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw demo</c>: everything at once on this machine, proven byte by byte.</summary>
internal sealed class DemoCommand : CliCommand
{
    private readonly Option<string?> _checkpoint = new("--checkpoint")
    {
        HelpName = "DIR",
        Description = "A checkpoint of your own. Default: one made up on the spot.",
    };

    private readonly Option<int> _peers = new("--peers")
    {
        HelpName = "N",
        Description = $"Consumer nodes, 1 to {DemoPlan.MaxPeers}. Default: 3.",
        DefaultValueFactory = _ => 3,
    };

    private readonly Option<string?> _size = new("--size")
    {
        HelpName = "SIZE",
        Description = "Size of the checkpoint that is made up. Default: 512MiB.",
    };

    public DemoCommand()
        : base(
            "demo",
            "Run a whole cluster on this machine: publish, pull on several nodes, update two engines, compare every byte; leaves nothing.",
            "p2pw demo",
            "p2pw demo --checkpoint ./llama --peers 5")
    {
        Add(_checkpoint);
        Add(_peers);
        Add(_size);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var report = await new DemoRun(PlanOf(arguments), terminal, TimeProvider.System).RunAsync(cancellationToken);
        terminal.Result(report.Document(), report.Write);
        terminal.Say($"  {Format.Time(report.Elapsed)} in all. No process and no file is left.");
        return report.IsWell ? 0 : (int)NodeError.Integrity;
    }

    private DemoPlan PlanOf(ParseResult arguments)
    {
        var peers = arguments.GetValue(_peers);
        if (peers is < 1 or > DemoPlan.MaxPeers)
            throw new NodeException(NodeError.Usage, $"--peers: {peers} is not between 1 and {DemoPlan.MaxPeers}. Nothing was started.");
        if (arguments.GetValue(_checkpoint) is not { } path)
            return new DemoPlan(null, Texts.Option(_size.Name, arguments.GetValue(_size) ?? "512MiB", Texts.ParseBytes), peers);
        if (arguments.GetValue(_size) is not null)
            throw new NodeException(
                NodeError.Usage,
                "--size and --checkpoint exclude each other: a checkpoint has the size it has. Nothing was started.");
        var folder = Texts.Option(_checkpoint.Name, path, Texts.ParsePath);
        if (!Directory.Exists(folder))
            throw new NodeException(NodeError.Usage, $"--checkpoint: there is no folder {folder}. Nothing was started.");
        return new DemoPlan(folder, FolderComparison.FilesOf(folder).Sum(file => new FileInfo(Path.Combine(folder, file)).Length), peers);
    }
}
