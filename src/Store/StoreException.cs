using P2PWeights.Store.Content;

namespace P2PWeights.Store;

/// <summary>What kind of failure a <see cref="StoreException"/> reports.</summary>
public enum StoreError
{
    /// <summary>The disk, or the quota of the tiers, has no room; what was written stays and a later pull goes on from it.</summary>
    Full,

    /// <summary>The bytes do not have the digest that they should have.</summary>
    WrongDigest,

    /// <summary>Another process has the data folder open.</summary>
    Locked,

    /// <summary>The file or folder is not what the operation may touch: missing, changed, foreign content.</summary>
    NotAllowed,

    /// <summary>The operating system failed a read or a write.</summary>
    Io,

    /// <summary>What is stored contradicts itself and cannot be repaired here.</summary>
    Corrupt,
}

/// <summary>An operation of the store failed. The message says what, which shard or file, and what to do.</summary>
public sealed class StoreException(StoreError error, string message, Digest? shard = null, Exception? inner = null) : Exception(message, inner)
{
    public StoreError Error { get; } = error;

    /// <summary>The shard concerned, when there is one.</summary>
    public Digest? Shard { get; } = shard;
}
