namespace P2PWeights.Store.Content;

/// <summary>Name and size of a shard: all that is needed to ask for it and to check what came.</summary>
/// <param name="Digest">BLAKE3-256 of the shard's bytes.</param>
/// <param name="Size">Bytes, 1 to the manifest's <c>MaxShardBytes</c>.</param>
public readonly record struct ShardInfo(Digest Digest, int Size);
