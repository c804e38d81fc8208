using System.Collections.Immutable;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Transfer.Tests;

/// <summary>A node of its own for one test: store, service, both in a temporary folder.</summary>
internal sealed class TestNode : IAsyncDisposable
{
    private readonly TempFolder _folder = new();
    private bool _stopped;

    private TestNode(string name) => Name = name;

    /// <summary>Longest time that any single step of a test may take.</summary>
    public static CancellationToken Deadline => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    public string Name { get; }

    public ShardStore Store { get; private set; } = null!;

    public TransferService Transfer { get; private set; } = null!;

    public PeerInfo Info => new(Store.NodeId, Name, [Transfer.LocalEndPoint.ToString()], "host", ImmutableSortedDictionary<string, string>.Empty);

    public static async Task<TestNode> StartAsync(string name, TransferOptions? options = null, long memory = 64 << 20, long disk = 1L << 30, TimeProvider? time = null, Func<string, ITransferPath?>? paths = null, IReadOnlyList<GpuMemory>? gpus = null, long gpu = 0)
    {
        var node = new TestNode(name);
        var arena = Directory.CreateDirectory(node._folder["shm"]).FullName;
        node.Store = await ShardStore.OpenAsync(
            new StoreOptions
            {
                DataDirectory = node._folder["data"],
                ArenaRoot = arena,
                MemoryBytes = memory,
                GpuMemory = gpus ?? (gpu > 0 ? [new GpuMemory("host-0", gpu)] : []),
                DiskBytes = disk,
                Ephemeral = true,
                ScrubBytesPerSecond = 0,
            },
            TimeProvider.System,
            NullLoggerFactory.Instance,
            Deadline);
        node.Transfer = new TransferService(node.Store, options ?? Steady, time ?? TimeProvider.System, NullLoggerFactory.Instance, paths);
        await node.Transfer.StartAsync(Deadline);
        return node;
    }

    /// <summary>The default settings, over TCP alone: the nodes of a test share a host.</summary>
    public static TransferOptions OverTcp => new() { Paths = [PathNames.Tcp] };

    /// <summary>The same with patience for a machine that pauses: a fetch that is given up, and asked again, changes what tests count.</summary>
    public static TransferOptions Steady => OverTcp with { StallTimeout = TimeSpan.FromSeconds(10), NoSourceTimeout = TimeSpan.FromSeconds(20) };

    /// <summary>The same for a pull that is to find no sources.</summary>
    public static TransferOptions Hopeless => Steady with { NoSourceTimeout = TimeSpan.FromSeconds(5) };

    /// <summary>The same with short patience, for what takes none.</summary>
    public static TransferOptions Fast => new() { Paths = [PathNames.Tcp], StallTimeout = TimeSpan.FromMilliseconds(400), NoSourceTimeout = TimeSpan.FromSeconds(2) };

    /// <summary>Waits until so many shards were served: a sender counts them after the receiver may have seen them.</summary>
    public Task ServedAsync(int shards) => Eventually.HoldsAsync(() => Transfer.Served.Shards == shards, $"{Name} has served {shards} shards");

    public string this[string relative] => _folder[relative];

    /// <summary>Takes shards of a checkpoint into the store, all when none are named, and enters its swarm. A store with a gpu tier holds them there alone.</summary>
    public Task HoldAsync(TestCheckpoint checkpoint, params int[] ordinals) => HoldAsync(checkpoint, Store.Gpus.Count > 0 ? ShardTarget.InGpu(0) : default, ordinals);

    /// <summary>The same, in the tier given.</summary>
    public async Task HoldAsync(TestCheckpoint checkpoint, ShardTarget target, params int[] ordinals)
    {
        Transfer.Join(checkpoint.Manifest);
        foreach (var ordinal in ordinals.Length > 0 ? ordinals : checkpoint.All)
        {
            using var write = await Store.BeginWriteAsync(checkpoint.Manifest.Shards[ordinal], target, Deadline);
            checkpoint.Bytes[ordinal].CopyTo(write.Buffer);
            await write.CommitAsync(Deadline);
        }
    }

    /// <summary>Writes a checkpoint to a file, references it there, and enters its swarm.</summary>
    public async Task<FileIdentity> ReferenceAsync(TestCheckpoint checkpoint, string path)
    {
        Transfer.Join(checkpoint.Manifest);
        await File.WriteAllBytesAsync(path, [.. checkpoint.Bytes.SelectMany(bytes => bytes)]);
        using var file = File.OpenHandle(path);
        var identity = FileIdentity.Of(file);
        var offset = 0L;
        var extents = new List<FileExtent>();
        foreach (var shard in checkpoint.Manifest.Shards)
        {
            extents.Add(new FileExtent(shard, offset));
            offset += shard.Size;
        }

        await Store.ReferenceAsync(path, identity, extents, Deadline);
        return identity;
    }

    /// <summary>Makes others known as neighbours in the checkpoint's swarm.</summary>
    public void Meet(TestCheckpoint checkpoint, params PeerInfo[] neighbours)
    {
        Transfer.Join(checkpoint.Manifest);
        Transfer.SetNeighbours(checkpoint.Manifest.Digest, neighbours);
    }

    public Task<PullReport> PullAsync(TestCheckpoint checkpoint, ShardTarget target = default, IProgress<PullProgress>? progress = null, IReadOnlyList<int>? wanted = null) =>
        Transfer.PullAsync(new PullRequest(checkpoint.Manifest, wanted ?? checkpoint.All, target), progress, Deadline);

    /// <summary>Every shard is held and has the right bytes.</summary>
    public async Task AssertHoldsAsync(TestCheckpoint checkpoint)
    {
        foreach (var ordinal in checkpoint.All)
        {
            using var lease = await Store.LeaseAsync(checkpoint.Manifest.Shards[ordinal].Digest, Deadline);
            Assert.True(lease is not null, $"shard {ordinal} is missing; {checkpoint.Seeded}");
            var bytes = new byte[lease.Value.Shard.Size];
            await lease.Value.ReadAsync(bytes, Deadline);
            Assert.True(bytes.AsSpan().SequenceEqual(checkpoint.Bytes[ordinal]), $"shard {ordinal} is wrong; {checkpoint.Seeded}");
        }
    }

    /// <summary>Ends the service, as a killed node would look to its peers; the store stays open.</summary>
    public async Task StopServingAsync()
    {
        if (!_stopped)
        {
            _stopped = true;
            await Transfer.DisposeAsync();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await StopServingAsync();
        await Store.DisposeAsync();
        _folder.Dispose();
    }
}

/// <summary>A checkpoint of one file of random bytes.</summary>
internal sealed class TestCheckpoint
{
    private TestCheckpoint(Seeded seeded, Manifest manifest, byte[][] bytes) => (Seeded, Manifest, Bytes) = (seeded, manifest, bytes);

    public Seeded Seeded { get; }

    public Manifest Manifest { get; }

    /// <summary>The bytes per ordinal.</summary>
    public byte[][] Bytes { get; }

    public int[] All => [.. Enumerable.Range(0, Manifest.Shards.Length)];

    public long TotalBytes => Bytes.Sum(b => (long)b.Length);

    public static TestCheckpoint Create(params int[] sizes) => Create(new Seeded(), sizes);

    /// <summary>The same in every process that has the seed.</summary>
    public static TestCheckpoint Seed(Seeded seeded, int count, int size) => Create(seeded, [.. Enumerable.Repeat(size, count)]);

    private static TestCheckpoint Create(Seeded seeded, int[] sizes) => Create(seeded, [.. sizes.Select(seeded.Bytes)]);

    private static TestCheckpoint Create(Seeded seeded, byte[][] bytes)
    {
        var shards = bytes.Select(b => new ShardInfo(Blake3.Hash(b), b.Length)).ToArray();
        var manifest = Manifest.Create(Math.Max(bytes.Max(b => b.Length), 1 << 20), [("weights.bin", bytes.Sum(b => (long)b.Length), (IReadOnlyList<ShardInfo>)shards)], [], []);
        return new TestCheckpoint(seeded, manifest, bytes);
    }

    /// <summary>A second version, with other bytes in some of the shards.</summary>
    public TestCheckpoint Change(params int[] ordinals) => Create(Seeded, [.. Bytes.Select((b, ordinal) => ordinals.Contains(ordinal) ? Seeded.Bytes(b.Length) : b)]);

    /// <summary>So many shards of one size.</summary>
    public static TestCheckpoint Uniform(int count, int size) => Create([.. Enumerable.Repeat(size, count)]);
}
