namespace P2PWeights.Store.Writing;

/// <summary>Where a shard on its way in is going. Used by one <see cref="ShardWrite"/>, which has hashed the buffer before it commits.</summary>
internal interface IWriteTarget
{
    /// <summary>Native memory, as many bytes as the shard has.</summary>
    Memory<byte> Buffer { get; }

    /// <summary>Makes the shard visible. When it throws, nothing has become visible.</summary>
    ValueTask CommitAsync(CancellationToken cancellationToken);

    /// <summary>Called once at the end; gives back what the commit did not hand on.</summary>
    void Release(bool committed);
}
