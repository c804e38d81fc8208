using P2PWeights.Native.Verbs;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>A registration of the store's memory, or a part of it, with its key and bounds at hand.</summary>
internal sealed class RegisteredRegion(MemoryRegion region)
{
    public MemoryRegion Region => region;

    public nint Start { get; } = region.Address;

    /// <summary>Behind the last byte.</summary>
    public nint End { get; } = region.Address + (nint)region.Length;

    public uint LocalKey { get; } = region.LocalKey;
}
