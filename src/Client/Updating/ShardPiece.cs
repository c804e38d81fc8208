namespace P2PWeights.Client.Updating;

/// <summary>Bytes of one shard that go to one place of a slot.</summary>
/// <param name="Ordinal">The shard.</param>
/// <param name="Start">First byte in the shard.</param>
/// <param name="SlotOffset">First byte in the slot.</param>
/// <param name="Length">Bytes.</param>
internal readonly record struct ShardPiece(int Ordinal, int Start, long SlotOffset, int Length);
