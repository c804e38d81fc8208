using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Support;

/// <summary>A tracker and nodes as processes on loopback, with everything they write in one temporary folder.</summary>
public sealed class Cluster : IDisposable
{
    /// <summary>xUnit does not dispose a test whose InitializeAsync failed: what it had started ends with the test process then.</summary>
    private const string EndWithTests = "--die-with-parent";

    private static readonly Dictionary<string, string?> NoVariables = [];

    private readonly List<RunningCommand> _commands = [];

    private Cluster()
    {
    }

    public TempFolder Folder { get; } = new();

    public RunningCommand TrackerProcess { get; private set; } = null!;

    /// <summary>Address of the tracker.</summary>
    public string Tracker { get; private set; } = null!;

    /// <summary>Starts the tracker.</summary>
    public static async Task<Cluster> StartAsync(params string[] trackerOptions)
    {
        var cluster = new Cluster();
        cluster.TrackerProcess = cluster.Run(["tracker", "--listen", "127.0.0.1:0", "--data", cluster.Folder["tracker"], EndWithTests, .. trackerOptions]);
        cluster.Tracker = (await cluster.TrackerProcess.ReadyAsync())["tracker"];
        return cluster;
    }

    /// <summary>Starts a node, or the same one again: its data lies under its name.</summary>
    public async Task<ClusterNode> StartNodeAsync(string name, params string[] options)
    {
        var process = Run(NodeArguments(name, options));
        return new ClusterNode(process, Socket(name), await process.ReadyAsync());
    }

    /// <summary>The command line of a node; a flag among the options replaces the usual one.</summary>
    public string[] NodeArguments(string name, params string[] options)
    {
        string[][] usual =
        [
            ["--name", name], ["--tracker", Tracker], ["--listen", "127.0.0.1:0"], ["--data", Folder[$"{name}-data"]], ["--socket", Socket(name)], ["--memory", "64MiB"], ["--disk", "256MiB"],
            ["--scrub-rate", "0"], ["--paths", "tcp"],
        ];
        return ["node", EndWithTests, .. usual.Where(pair => !options.Contains(pair[0])).SelectMany(pair => pair), .. options];
    }

    public string Socket(string name) => Folder[$"{name}.sock"];

    /// <summary>Where a node's memory tier lies.</summary>
    public static string Arena(string nodeId) => $"/dev/shm/p2pweights-{Guid.Parse(nodeId):N}";

    /// <summary>Starts a command that this cluster ends when it is disposed.</summary>
    public RunningCommand Run(params string[] arguments)
    {
        var command = P2pw.Start(NoVariables, arguments);
        _commands.Add(command);
        return command;
    }

    public void Dispose()
    {
        // Nodes before the tracker; a graceful stop first, so that arenas go.
        foreach (var command in Enumerable.Reverse(_commands).Where(command => !command.HasExited))
            command.Signal(Native.Posix.PosixSignalNumber.Terminate);
        foreach (var command in Enumerable.Reverse(_commands))
        {
            SpinWait.SpinUntil(() => command.HasExited, TimeSpan.FromSeconds(20));
            command.Dispose();
            // A node keeps its arena for its next start; here there is none.
            if (command.Ready("id") is { } id && Directory.Exists(Arena(id)))
                Directory.Delete(Arena(id), recursive: true);
        }

        Folder.Dispose();
    }
}

/// <summary>A running node.</summary>
public sealed record ClusterNode(RunningCommand Process, string Socket, IReadOnlyDictionary<string, string> Ready)
{
    public string Id => Ready["id"];
}
