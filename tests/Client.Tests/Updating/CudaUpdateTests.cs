using System.Collections.Concurrent;
using System.Collections.Immutable;
using P2PWeights.Client.Engines;
using P2PWeights.Client.Tests.Engines;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native.Cuda;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>The same updates on GPUs; what lies in the slots is read back through the driver, because a process cannot open its own memory by handle.</summary>
public sealed class CudaUpdateTests
{
    [CudaFact(devices: 1)]
    public Task One_gpu_gets_every_tensor() => UpdateAsync(1, BroadcastModes.Peer, inMemory: true);

    [CudaFact(devices: 1)]
    public Task Shards_in_files_get_there_through_staging_memory() => UpdateAsync(1, BroadcastModes.Peer, inMemory: false);

    [CudaFact(devices: 2)]
    public Task Peer_copies_bring_every_tensor_to_every_gpu() => UpdateAsync(2, BroadcastModes.Peer, inMemory: true);

    [CudaFact(devices: 2, nccl: true)]
    public Task NCCL_brings_the_same_bytes() => UpdateAsync(2, BroadcastModes.Nccl, inMemory: true);

    private static async Task UpdateAsync(int count, string broadcast, bool inMemory)
    {
        await using var fixture = await UpdateFixture.CreateAsync(inMemory, isPinnable: true);
        using var devices = new KnownDevices(fixture.ArenaRegion);
        var readers = new ConcurrentDictionary<string, byte[]>[count];
        var channels = new ScriptedEngineChannel[count];
        for (var ordinal = 0; ordinal < count; ordinal++)
        {
            using var gpu = CudaDevice.Open(ordinal);
            var (uuid, tensors) = (gpu.Uuid, readers[ordinal] = new ConcurrentDictionary<string, byte[]>());
            channels[ordinal] = new ScriptedEngineChannel(new EngineDevice(uuid)) { OnLoad = (_, records) => Read(devices.Opened[uuid], records, tensors) };
        }

        var (engines, _, failure) = await fixture.UpdateAsync([new ScriptedEngine([.. channels])], UpdateFixture.Request with { Broadcast = broadcast }, devices);

        Assert.Null(failure);
        Assert.Equal((EngineStates.Updated, null), (engines[0].State, engines[0].Reason));
        Assert.All(readers, fixture.AssertHolds);
        fixture.AssertClean();
    }

    private static unsafe void Read(CudaUpdateDevice device, ImmutableArray<TensorRecord> records, ConcurrentDictionary<string, byte[]> tensors)
    {
        using var stream = CudaStream.Create(device.Gpu);
        foreach (var record in records)
        {
            var bytes = new byte[record.Shape.Aggregate((long)EngineDType.Size(record.DType), (product, dimension) => product * dimension)];
            fixed (byte* host = bytes)
            {
                if (bytes.Length > 0)
                {
                    stream.CopyOut((nint)host, device.Address + (nint)record.Offset, bytes.Length);
                    stream.Synchronize();
                }
            }

            Assert.True(tensors.TryAdd(record.Name, bytes));
        }
    }

    /// <summary>The GPUs, with the arena registered, and what was opened of them.</summary>
    private sealed class KnownDevices : IUpdateDevices
    {
        private readonly CudaUpdateDevices _gpus = new();
        private readonly IDisposable? _arena;

        public KnownDevices(Store.MemoryRegion? arena) => _arena = arena is { } region ? _gpus.Register(region.Address, region.Length) : null;

        public ConcurrentDictionary<string, CudaUpdateDevice> Opened { get; } = new();

        public IUpdateDevice Open(EngineDevice device) => Opened[device.Id] = (CudaUpdateDevice)_gpus.Open(device);

        public IDisposable Register(nint address, long length) => _gpus.Register(address, length);

        public ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices) => _gpus.OpenCollective(devices);

        public void Dispose()
        {
            _arena?.Dispose();
            _gpus.Dispose();
        }
    }
}
