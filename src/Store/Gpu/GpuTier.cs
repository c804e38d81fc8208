using P2PWeights.Native;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Memory;
using P2PWeights.Store.Writing;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// The gpu tier: blocks in the memory of GPUs, kept by counts of holds like those of the memory tier. A shard is held on at most one GPU of a node. Nothing of it outlives the process.
/// Units are counted through: those of the second GPU follow those of the first. Thread-safe.
/// </summary>
internal sealed class GpuTier
{
    private readonly Part[] _parts;
    private readonly CudaLinks? _cuda;
    private readonly string _exports;

    private readonly TimeProvider _time;

    private GpuTier(Part[] parts, CudaLinks? cuda, string exports, TimeProvider time) => (_parts, _cuda, _exports, _time) = (parts, cuda, exports, time);

    /// <summary>The settings' words for the GPUs.</summary>
    public IReadOnlyList<string> Names => [.. _parts.Select(part => part.Name)];

    public long QuotaBytes => _parts.Sum(part => part.Blocks.QuotaBytes);

    /// <summary>Bytes of all blocks in use, rounding included.</summary>
    public long UsedBytes => _parts.Sum(part => part.Blocks.UsedBytes);

    public int Shards => _parts.Sum(part => part.Count);

    /// <summary>Whether a GPU has stalled: what it holds is not to be had any more.</summary>
    public bool IsStalled => _cuda?.IsStalled == true;

    /// <summary>Takes the memory of the GPUs and tells other processes of this user how to open it.</summary>
    /// <param name="arena">The memory tier's; what is told lies beside it.</param>
    /// <exception cref="StoreException">A GPU is not there or has no room; the message says which and what to do.</exception>
    public static GpuTier Open(IReadOnlyList<GpuMemory> gpus, ArenaInfo arena, TimeProvider time)
    {
        CudaLinks? cuda = null;
        var parts = new List<Part>();
        try
        {
            var firstUnit = 0;
            foreach (var gpu in gpus)
            {
                var bytes = gpu.Bytes / BuddyAllocator.MaxBlockBytes * BuddyAllocator.MaxBlockBytes;
                try
                {
                    IGpuArena memory = gpu.Ordinal is { } ordinal
                        ? new CudaGpuArena(cuda ??= new CudaLinks(time), ordinal, bytes)
                        : HostGpuArena.Make(gpu.Device, bytes, Path.GetDirectoryName(arena.Path)!);
                    parts.Add(new Part(gpu.Device, memory, firstUnit, (int)(bytes / BuddyAllocator.UnitBytes)));
                }
                catch (IOException failure)
                {
                    var isFull = failure is NativeException native ? CudaLibrary.IsOutOfMemory(native) || Errno.IsDiskFull(native) : Errno.IsDiskFull(failure);
                    throw new StoreException(
                        isFull ? StoreError.Full : StoreError.NotAllowed,
                        $"the gpu tier cannot have {bytes} bytes on GPU {gpu.Device}: {failure.Message}; give --gpu-memory less, or leave that GPU out (p2pw doctor shows what is there)", inner: failure);
                }

                firstUnit += parts[^1].Blocks.Units;
            }

            GpuExports.Write(arena, [.. parts.Select(part => new GpuExport(part.Memory.Device, part.Blocks.QuotaBytes, part.Memory.Handle))]);
            return new GpuTier([.. parts], cuda, GpuExports.PathOf(arena.Path), time);
        }
        catch
        {
            parts.ForEach(part => part.Memory.Dispose());
            cuda?.Dispose();
            throw;
        }
    }

    /// <summary>Makes host memory that shards come through ready for copies at full speed. Where it cannot be pinned, copies are slower and right.</summary>
    /// <returns>Why it cannot; null when it can, or needs not.</returns>
    public string? Register(StagingPool staging)
    {
        try
        {
            _cuda?.Register(staging);
            return null;
        }
        catch (NativeException failure)
        {
            return failure.Message;
        }
    }

    /// <summary>What is thrown when a GPU takes no more.</summary>
    public StoreException Full(ShardInfo shard, int gpu) => new(
        StoreError.Full,
        $"no room for shard {shard.Digest.ToShortString()} of {shard.Size} bytes on GPU {Names[gpu]}: {UsedBytesOf(gpu)} of {QuotaBytesOf(gpu)} bytes are in use, and all of them pinned, leased or being written; give --gpu-memory more",
        shard.Digest);

    /// <summary>Takes a block of a GPU and holds it for the caller; false when none is free.</summary>
    public bool TryAllocate(int gpu, int size, out int unit)
    {
        var part = _parts[gpu];
        var isFree = part.Blocks.TryAllocate(size, out unit);
        unit += part.FirstUnit;
        return isFree;
    }

    public long UsedBytesOf(int gpu) => _parts[gpu].Blocks.UsedBytes;

    public long QuotaBytesOf(int gpu) => _parts[gpu].Blocks.QuotaBytes;

    public GpuPlace PlaceOf(int unit)
    {
        var gpu = IndexOf(unit);
        return new GpuPlace(gpu, _parts[gpu].Memory, (long)(unit - _parts[gpu].FirstUnit) * BuddyAllocator.UnitBytes);
    }

    /// <summary>Enters a filled block. The caller's hold becomes the index's.</summary>
    public void Publish(int unit, Digest digest) => PartOf(unit).Enter(unit, digest);

    /// <summary>Ends the index's hold of a published block: it is forgotten at once, and free after the last lease.</summary>
    public void Withdraw(int unit)
    {
        PartOf(unit).Remove(unit);
        Release(unit);
    }

    /// <inheritdoc cref="HeldBlocks.Hold"/>
    public void Hold(int unit) => PartOf(unit).Blocks.Hold(unit - PartOf(unit).FirstUnit);

    /// <inheritdoc cref="HeldBlocks.IsLeased"/>
    public bool IsLeased(int unit) => PartOf(unit).Blocks.IsLeased(unit - PartOf(unit).FirstUnit);

    /// <inheritdoc cref="HeldBlocks.Release"/>
    public void Release(int unit) => PartOf(unit).Blocks.Release(unit - PartOf(unit).FirstUnit);

    /// <summary>A device that has stalled may still write to a block: it stays held for good.</summary>
    /// <param name="size">Bytes of the copy.</param>
    public void GiveUp(int unit, int size) => GivenUpMemory.Keep(PlaceOf(unit).Arena, size);

    /// <summary>Digests of a GPU's published shards, a snapshot to be checked against the index.</summary>
    public List<Digest> PublishedOn(int gpu) => _parts[gpu].Digests();

    /// <summary>A GPU arena of another process of this host, as told in its <see cref="GpuExports"/>, to be opened.</summary>
    public ForeignGpuOpening OpeningOf(GpuExport export, string arenaPath) => new(export.Device, () => OpenForeign(export, arenaPath), _time);

    /// <summary>Ends what does not need the GPUs' memory: called while the staging memory is still mapped.</summary>
    public void Unregister() => _cuda?.Unregister();

    /// <summary>Frees the memory. Where anybody but the index holds a block, it is left to the end of the process.</summary>
    public void Close()
    {
        File.Delete(_exports);
        var isFree = true;
        foreach (var part in _parts)
        {
            if (part.Blocks.Holds > part.Count)
            {
                isFree = false;
                part.Memory.Abandon();
            }
            else
            {
                part.Memory.Dispose();
            }
        }

        if (isFree)
        {
            _cuda?.Dispose();
        }
    }

    private IForeignGpuArena OpenForeign(in GpuExport export, string arenaPath) => export.IsCuda
        ? ForeignCudaGpuArena.Open(_cuda ?? throw new NativeException("CUDA", "cuIpcOpenMemHandle", 0, "this node has no memory on a GPU of its own", export.Device), export.Device, export.Handle.Span)
        : ForeignHostGpuArena.Open(Path.GetDirectoryName(arenaPath)!, export.Handle.Span);

    private Part PartOf(int unit) => _parts[IndexOf(unit)];

    private int IndexOf(int unit)
    {
        var gpu = _parts.Length - 1;
        while (_parts[gpu].FirstUnit > unit)
        {
            gpu--;
        }

        return gpu;
    }

    /// <summary>One GPU's.</summary>
    private sealed class Part(string name, IGpuArena memory, int firstUnit, int units)
    {
        private readonly Dictionary<int, Digest> _published = [];

        public string Name => name;

        public IGpuArena Memory => memory;

        public int FirstUnit => firstUnit;

        public HeldBlocks Blocks { get; } = new(units);

        public int Count
        {
            get
            {
                lock (_published)
                {
                    return _published.Count;
                }
            }
        }

        public void Enter(int unit, Digest digest)
        {
            lock (_published)
            {
                _published.Add(unit, digest);
            }
        }

        public void Remove(int unit)
        {
            lock (_published)
            {
                _published.Remove(unit);
            }
        }

        public List<Digest> Digests()
        {
            lock (_published)
            {
                return [.. _published.Values];
            }
        }
    }
}
