using P2PWeights.Store.Content;

namespace P2PWeights.Store;

/// <summary>Where a replica lies.</summary>
[Flags]
public enum Tiers
{
    None = 0,
    Gpu = 1,
    Memory = 2,
    Disk = 4,
    Reference = 8,
}

/// <summary>A shard was gained (it can be leased from now on) or lost (it cannot any more).</summary>
public readonly record struct ShardChange(ShardInfo Shard, bool Gained);

/// <summary>A range of a file that holds a shard.</summary>
public readonly record struct FileExtent(ShardInfo Shard, long Offset);
