using System.Security.Cryptography;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Client.Engines;
using P2PWeights.Client.Tests.Engines;
using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>A real store that holds a checkpoint of random tensors, and updates of scripted engines from it.</summary>
internal sealed class UpdateFixture : IAsyncDisposable
{
    /// <summary>Odd on purpose: pieces of tensors begin and end anywhere.</summary>
    private const int ShardBytes = 90_001;

    private readonly TempFolder _folder = new();
    private readonly ShardStore _store;
    private readonly Dictionary<string, byte[]> _tensors;

    private UpdateFixture(ShardStore store, Manifest manifest, Dictionary<string, byte[]> tensors)
    {
        (_store, Manifest, _tensors) = (store, manifest, tensors);
        SlotRoot = Directory.CreateDirectory(_folder["slots"]).FullName;
        Lease = async (ordinal, token) => await _store.LeaseAsync(Manifest.Shards[ordinal].Digest, token) ?? throw new InvalidOperationException($"shard {ordinal} is not held");
    }

    public Manifest Manifest { get; }

    /// <summary>Where the memory tier's blocks lie; null without one.</summary>
    public MemoryRegion? ArenaRegion => _store.Arena is null ? null : _store.Regions[0];

    /// <summary>Where host devices make their slots.</summary>
    public string SlotRoot { get; }

    /// <summary>Leases shards out of the store.</summary>
    public Func<int, CancellationToken, ValueTask<ShardLease>> Lease { get; }

    public Seeded Seed { get; private init; } = new();

    /// <param name="inMemory">In the memory tier, or else in files.</param>
    /// <param name="layers">Each has a large tensor of 200 KB, and small ones of odd lengths.</param>
    /// <param name="isPinnable">Whether the arena must lie in shared memory, as that of a node does: a GPU cannot be given a file of a disk.</param>
    public static async Task<UpdateFixture> CreateAsync(bool inMemory = true, int layers = 12, bool isPinnable = false)
    {
        var seed = new Seeded();
        var tensors = new Dictionary<string, byte[]>();
        var declared = new List<SafetensorsTensor>();
        var file = new List<byte>();
        foreach (var layer in Enumerable.Range(0, layers).OrderBy(layer => $"{layer}", StringComparer.Ordinal))
        {
            foreach (var (name, length) in new[] { ("weight", 200_000), ("bias", 1_001), ("norm", 512), ("scale", 1), ("none", 0) })
            {
                var bytes = seed.Bytes(length);
                tensors.Add($"layers.{layer}.{name}", bytes);
                declared.Add(new SafetensorsTensor($"layers.{layer}.{name}", "U8", [length], file.Count, length));
                file.AddRange(bytes);
            }
        }

        var data = file.ToArray();
        var shards = data.Chunk(ShardBytes).ToArray();
        var manifest = Manifest.Create(
            1 << 20, [("model.safetensors", data.Length, [.. shards.Select(shard => new ShardInfo(Blake3.Hash(shard), shard.Length))])],
            declared.Select(tensor => ("model.safetensors", tensor)), []);
        var folder = isPinnable ? new TempFolder("/dev/shm") : new TempFolder();
        var store = await ShardStore.OpenAsync(
            new StoreOptions
            {
                DataDirectory = folder["data"],
                ArenaRoot = Directory.CreateDirectory(folder["arena"]).FullName,
                MemoryBytes = inMemory ? 16 << 20 : 0,
                DiskBytes = 64 << 20,
            },
            TimeProvider.System, NullLoggerFactory.Instance, default);
        foreach (var shard in shards)
        {
            using var write = await store.BeginWriteAsync(new ShardInfo(Blake3.Hash(shard), shard.Length), null, default);
            shard.CopyTo(write.Buffer.Span);
            await write.CommitAsync(default);
        }

        return new UpdateFixture(store, manifest, tensors) { Seed = seed, StoreFolder = folder };
    }

    private TempFolder StoreFolder { get; init; } = null!;

    /// <summary>Small slots, so that there are many buckets, and no more time for a device than a test should take.</summary>
    public static UpdateRequest Request { get; } = new("org/model@v1", []) { SlotBytes = 300_000, DeviceTimeout = TimeSpan.FromSeconds(20) };

    /// <summary>Short enough for a test that waits for it to pass, and far more than a copy of 200 KB takes on a busy machine.</summary>
    public static readonly TimeSpan DeviceTimeout = TimeSpan.FromSeconds(6);

    /// <summary>For tests in which a device stops: it has <see cref="DeviceTimeout"/>.</summary>
    public static UpdateRequest Impatient { get; } = Request with { DeviceTimeout = DeviceTimeout };

    /// <summary>An engine of scripted ranks, and what they read.</summary>
    public static (ScriptedEngine Engine, SlotReader[] Readers, ScriptedEngineChannel[] Channels) Engine(int ranks, Func<int, string, CancellationToken, Task>? script = null)
    {
        var readers = Enumerable.Range(0, ranks).Select(_ => new SlotReader()).ToArray();
        ScriptedEngineChannel[] channels =
        [
            .. readers.Select((reader, rank) => new ScriptedEngineChannel(
                new EngineDevice($"host-{rank}"), script is null ? null : (step, token) => script(rank, step, token)) { OnLoad = reader.Read }),
        ];
        return (new ScriptedEngine([.. channels]), readers, channels);
    }

    /// <summary>An engine of one rank on each of the devices of these names.</summary>
    public static (ScriptedEngine Engine, SlotReader[] Readers, ScriptedEngineChannel[] Channels) Engine(params string[] devices)
    {
        var readers = devices.Select(_ => new SlotReader()).ToArray();
        ScriptedEngineChannel[] channels = [.. readers.Zip(devices, (reader, device) => new ScriptedEngineChannel(new EngineDevice(device)) { OnLoad = reader.Read })];
        return (new ScriptedEngine([.. channels]), readers, channels);
    }

    /// <summary>Runs one update to its end.</summary>
    /// <returns>What became of the engines, and what the pipeline threw.</returns>
    public async Task<(IReadOnlyList<EngineReport> Engines, UpdatePlan Plan, Exception? Failure)> UpdateAsync(
        IReadOnlyList<IEngine> engines, UpdateRequest? request = null, IUpdateDevices? devices = null, Func<int, CancellationToken, ValueTask<ShardLease>>? lease = null,
        CancellationToken cancellationToken = default)
    {
        using var own = devices is null ? new HostDevices(SlotRoot) : null;
        var session = new UpdateSession(Context(engines, devices ?? own!, request, lease));
        await using (session)
        {
            Exception? failure = null;
            try
            {
                await session.RunAsync(session.Prepare(out var filler), filler, null, cancellationToken);
            }
            catch (Exception caught)
            {
                failure = caught;
            }

            return (session.Engines, session.Plan, failure);
        }
    }

    /// <summary>What an update of these engines works with.</summary>
    public UpdateContext Context(
        IReadOnlyList<IEngine> engines, IUpdateDevices devices, UpdateRequest? request = null, Func<int, CancellationToken, ValueTask<ShardLease>>? lease = null) =>
        new("org/model@v1", Manifest, engines, devices, _store.Arena, lease ?? Lease, request ?? Request, TimeProvider.System, NullLogger.Instance);

    /// <summary>Every tensor is there, with its own bytes.</summary>
    public void AssertHolds(SlotReader reader) => AssertHolds(reader.Tensors);

    /// <inheritdoc cref="AssertHolds(SlotReader)"/>
    public void AssertHolds(IReadOnlyDictionary<string, byte[]> tensors)
    {
        Assert.Equal(_tensors.Keys.Order(StringComparer.Ordinal), tensors.Keys.Order(StringComparer.Ordinal));
        Assert.All(_tensors, tensor => Assert.True(tensor.Value.AsSpan().SequenceEqual(tensors[tensor.Key]), $"{tensor.Key} has other bytes ({Seed})"));
    }

    /// <summary>Takes the bytes away from under whoever reads shards in the disk tier.</summary>
    public void TruncateFiles()
    {
        foreach (var shard in Directory.EnumerateFiles(StoreFolder["data"], "*", SearchOption.AllDirectories).Where(file => new FileInfo(file).Length is ShardBytes))
        {
            using var file = new FileStream(shard, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
            file.SetLength(0);
        }
    }

    /// <summary>What an engine that holds a tensor answers for it.</summary>
    public byte[] Sha256Of(string tensor) => SHA256.HashData(_tensors[tensor]);

    /// <summary>Nothing of an update is left: no lease, no slots.</summary>
    public void AssertClean()
    {
        Assert.Equal(0, _store.Usage.Leases);
        Assert.Empty(Directory.GetFileSystemEntries(SlotRoot));
    }

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        StoreFolder.Dispose();
        _folder.Dispose();
    }
}
