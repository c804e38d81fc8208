using System.Runtime.InteropServices;

namespace P2PWeights.Store.Index;

/// <summary>What the index knows of one shard: which tiers hold it and where. Blittable, because FASTER keeps it in its log as it is.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ShardRecord
{
    /// <summary>Bytes of the shard.</summary>
    public int Size;

    /// <summary>Tiers that hold a replica. Never <see cref="Store.Tiers.None"/> in a stored record: a shard without a replica has no record.</summary>
    public Tiers Tiers;

    /// <summary>Those of <see cref="Tiers"/> whose bytes this process has hashed, or received and hashed. Cleared at every start.</summary>
    public Tiers Proven;

    /// <summary>Unit of the arena where the shard starts, when memory holds it.</summary>
    public int MemoryUnit;

    /// <summary>Number of the referenced file, when a reference holds it; numbers are given anew at every start.</summary>
    public int FileId;

    /// <summary>Unit of the gpu tier where the shard starts, when a GPU holds it.</summary>
    public int GpuUnit;

    /// <summary>Where in the referenced file the shard starts.</summary>
    public long FileOffset;

    /// <summary>When the shard was last written or leased, UTC ticks.</summary>
    public long LastUse;

    public readonly bool Has(Tiers tier) => (Tiers & tier) != 0;

    public readonly bool IsProven(Tiers tier) => (Proven & tier) != 0;
}
