using P2PWeights.Cli.Output;
using P2PWeights.Client;

namespace P2PWeights.Cli.Demo;

/// <summary>What the demo will do, and what it needs for that.</summary>
/// <param name="Checkpoint">Folder to publish; null to make one.</param>
/// <param name="Bytes">Size of the checkpoint.</param>
/// <param name="Peers">Consumer nodes.</param>
internal sealed record DemoPlan(string? Checkpoint, long Bytes, int Peers)
{
    /// <summary>Memory tier of a node. Small: the files themselves are what nodes serve from here.</summary>
    public const long NodeMemoryBytes = 64L << 20;

    public const int MaxPeers = 32;

    /// <summary>Engines that are updated in the end.</summary>
    public const int Engines = 2;

    /// <summary>Bytes of a slot, unless a tensor is larger: small, so that many buckets go round in little memory.</summary>
    public const long SlotBytes = 8L << 20;

    /// <summary>
    /// Bytes that temporary files take: the checkpoint, unless it exists, a copy per consumer, and a little for indexes and logs (a made-up
    /// one misses its size by up to 2 %).
    /// </summary>
    public long DiskBytes => ((Bytes + (Bytes / 32)) * (Peers + (Checkpoint is null ? 1 : 0))) + ((Peers + 2) * (64L << 20));

    /// <summary>Bytes that arenas take in /dev/shm.</summary>
    public long SharedMemoryBytes => (Peers + 1) * NodeMemoryBytes;

    /// <summary>Bytes that engines take in memory: each holds all weights. And what their processes take anyway.</summary>
    public long EngineBytes => Engines * (Bytes + (64L << 20));

    /// <summary>Why no engine can be updated; null when they can.</summary>
    /// <param name="memoryFree">Bytes of memory that could be taken; null when nobody can say.</param>
    public string? NoEngines(long? memoryFree) => memoryFree < EngineBytes
        ? $"left out: {Engines} engines would hold {Format.Bytes(EngineBytes)} in memory, and {Format.Bytes(memoryFree.Value)} are free"
        : null;

    /// <summary>Says what is needed and what there is.</summary>
    /// <param name="temporaryFolder">Where the files go.</param>
    /// <param name="diskFree">Bytes free there; null when nobody can say.</param>
    /// <param name="sharedMemoryFree">Bytes free in /dev/shm; null when it is not there.</param>
    /// <exception cref="NodeException"><see cref="NodeError.DiskFull"/>: it would not fit; nothing was made.</exception>
    public string CheckSpace(string temporaryFolder, long? diskFree, long? sharedMemoryFree)
    {
        if (diskFree < DiskBytes)
        {
            throw new NodeException(
                NodeError.DiskFull,
                $"the demo needs {Format.Bytes(DiskBytes)} in {temporaryFolder} and {Format.Bytes(diskFree.Value)} are free. Nothing was made."
                + " Ask for less (--size 64MiB, --peers 2), or set TMPDIR to a larger place.");
        }

        if ((sharedMemoryFree ?? 0) < SharedMemoryBytes)
        {
            throw new NodeException(
                NodeError.DiskFull,
                $"the demo needs {Format.Bytes(SharedMemoryBytes)} in /dev/shm and {Format.Bytes(sharedMemoryFree ?? 0)} are free. Nothing was made."
                + " Ask for fewer nodes (--peers 1), or enlarge it (docker run --shm-size 1g; mount -o remount,size=1g /dev/shm).");
        }

        var disk = $"{Format.Bytes(DiskBytes)} of {(diskFree is { } free ? Format.Bytes(free) : "?")} in {temporaryFolder}";
        return $"{disk}, {Format.Bytes(SharedMemoryBytes)} of {Format.Bytes(sharedMemoryFree!.Value)} in /dev/shm";
    }
}
