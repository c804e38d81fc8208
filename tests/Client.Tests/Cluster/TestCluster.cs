using System.Diagnostics;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store.Folders;
using P2PWeights.Testing;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Cluster;

/// <summary>A real tracker and real nodes in this process, on loopback, with their folders under one temporary folder. The tracker can go away and come back.</summary>
internal sealed class TestCluster : IAsyncDisposable
{
    public const string Checkpoint = "org/model@v1";

    /// <summary>Far beyond what anything here takes; a test that reaches it has hung.</summary>
    public static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly List<PeerNode> _nodes = [];
    private TrackerServer? _tracker;

    private TestCluster() => TrackerAddress = new Uri("http://127.0.0.1:1");

    public TempFolder Folder { get; } = new();

    public Seeded Seed { get; } = new();

    public Uri TrackerAddress { get; private set; }

    public static async Task<TestCluster> StartAsync()
    {
        var cluster = new TestCluster();
        await cluster.StartTrackerAsync();
        return cluster;
    }

    /// <summary>Starts the tracker, on the same address and data as before if there was one.</summary>
    public async Task StartTrackerAsync()
    {
        var options = new TrackerOptions
        {
            // On an address of its own: elsewhere a port that is free while the tracker is away may be taken by others.
            Listen = TrackerAddress.Port == 1 ? $"127.{RandomNumberGenerator.GetInt32(1, 255)}.{RandomNumberGenerator.GetInt32(256)}.{RandomNumberGenerator.GetInt32(1, 255)}:0" : TrackerAddress.Authority,
            DataDirectory = Folder["tracker"],
            Lease = TimeSpan.FromSeconds(3),
        };
        _tracker = await TrackerServer.StartAsync(options, TimeProvider.System, NullLoggerFactory.Instance, default);
        TrackerAddress = _tracker.Address;
    }

    public async Task StopTrackerAsync()
    {
        await _tracker!.DisposeAsync();
        _tracker = null;
    }

    /// <summary>Starts a node on the data folder of its name, the one of an earlier run included.</summary>
    /// <param name="paths">By TCP alone unless told otherwise: the nodes of a test share a host.</param>
    public async Task<PeerNode> StartNodeAsync(
        string name, long memoryBytes = 64 << 20, long diskBytes = 64 << 20, long uploadBytesPerSecond = 0, TimeSpan? noSourceTimeout = null,
        IReadOnlyList<string>? paths = null)
    {
        var node = await PeerNode.StartAsync(
            new NodeOptions
            {
                Name = name,
                Trackers = [TrackerAddress],
                DataDirectory = Folder[$"data-{name}"],
                MemoryBytes = memoryBytes,
                ArenaRoot = Directory.CreateDirectory(Folder["arenas"]).FullName,
                DiskBytes = diskBytes,
                UploadBytesPerSecond = uploadBytesPerSecond,
                Paths = paths ?? [PathNames.Tcp],
                NoSourceTimeout = noSourceTimeout ?? TimeSpan.FromSeconds(20),
            },
            TimeProvider.System,
            NullLoggerFactory.Instance,
            default);
        _nodes.Add(node);
        return node;
    }

    /// <summary>Stops a node before the end of the test.</summary>
    public async Task StopAsync(PeerNode node)
    {
        _nodes.Remove(node);
        await node.DisposeAsync();
    }

    /// <summary>Writes a checkpoint and returns its folder.</summary>
    public string WriteCheckpoint(string name = "source", int bytes = 12 << 20)
    {
        TinyCheckpoint.Write(Folder[name], Seed, bytes);
        return Folder[name];
    }

    /// <summary>Asks the tracker itself, not a node.</summary>
    public async Task<IReadOnlyList<string>> CatalogAsync()
    {
        using var tracker = new TrackerClient([TrackerAddress], null, TimeProvider.System);
        return [.. (await tracker.ListAsync(null, default)).Select(checkpoint => $"{checkpoint.Name}@{checkpoint.Version}")];
    }

    /// <summary>Waits for a condition, with a deadline instead of a sleep.</summary>
    public Task UntilAsync(Func<Task<bool>> condition, string what) => Eventually.HoldsAsync(condition, $"{what} ({Seed})");

    /// <summary>Fails with the names of what differs between two folders, or between their bytes.</summary>
    public void AssertSame(string expected, string actual)
    {
        Assert.Equal(Names(expected), Names(actual));
        foreach (var name in Names(expected))
        {
            Assert.True(
                File.ReadAllBytes(Path.Combine(expected, name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(actual, name))), $"{name} differs ({Seed})");
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
        {
            await node.DisposeAsync();
        }

        if (_tracker is not null)
        {
            await _tracker.DisposeAsync();
        }

        Folder.Dispose();
    }

    private static string[] Names(string folder) =>
        [.. Directory.EnumerateFiles(folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 }).Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal)];
}

/// <summary>The calls of a node as tests write them.</summary>
internal static class NodeCalls
{
    public static Task<PublishReport> PublishAsync(
        this PeerNode node, string folder, string checkpoint = TestCluster.Checkpoint, bool copy = false, IReadOnlyList<string>? tags = null, CancellationToken cancellationToken = default) =>
        node.PublishAsync(new PublishRequest(folder, checkpoint, copy, tags ?? [], new Dictionary<string, string>()), null, cancellationToken).WaitAsync(TestCluster.Deadline, CancellationToken.None);

    public static Task<CheckpointPullReport> PullAsync(
        this PeerNode node, string? folder, string checkpoint = TestCluster.Checkpoint, IProgress<PullProgress>? progress = null, CancellationToken cancellationToken = default) =>
        node.PullAsync(new CheckpointPullRequest(checkpoint, folder), progress, cancellationToken).WaitAsync(TestCluster.Deadline, CancellationToken.None);

    public static async Task<NodeException> FailsAsync(Task call, NodeError error)
    {
        var failure = await Assert.ThrowsAsync<NodeException>(() => call);
        Assert.True(failure.Error == error, $"expected {error}, got {failure.Error}: {failure}");
        return failure;
    }

    public static long BytesDiffering(this VerifyReport report) =>
        report.Differences.Where(difference => difference.Kind == DifferenceKind.Bytes).Sum(difference => difference.Length);
}
