using P2PWeights.Store;

namespace P2PWeights.Transfer.Leasing;

/// <summary>Where a leased shard lies in a file of the peer's host. All of it is what the peer says: the file is to be opened and compared before it is believed.</summary>
/// <param name="Tier">The tier: <see cref="Tiers.Memory"/> (the file is the arena), <see cref="Tiers.Disk"/> or <see cref="Tiers.Reference"/>.</param>
/// <param name="Path">Full path.</param>
/// <param name="Identity">The file's identity when the lease was given. The mtime of an arena or an unfinished file moves on.</param>
/// <param name="Offset">Where the bytes start in the file.</param>
/// <param name="IsUnfinished">Whether a pull of the peer is still writing other parts of the file: it gets another name in the end.</param>
internal sealed record FileLocation(Tiers Tier, string Path, FileIdentity Identity, long Offset, bool IsUnfinished = false);

/// <summary>Where a leased shard lies in the peer's registered memory.</summary>
/// <param name="Keys">One key per device connected; any one of them leads to all bytes.</param>
internal sealed record MemoryLocation(IReadOnlyList<RemoteKey> Keys);

/// <summary>Where a leased shard lies in the memory of one of the peer's GPUs. What the peer says: whether there is such a range is for the reader to check.</summary>
/// <param name="Gpu">Which of those that the peer tells of beside its arena.</param>
/// <param name="Offset">Where the bytes start in that GPU's arena.</param>
internal sealed record GpuLocation(int Gpu, long Offset);

/// <summary>What a one-sided read needs besides its queue pair.</summary>
/// <param name="Device">The <see cref="Wire.QueueDevice.Index"/> of the connected pair of devices.</param>
/// <param name="Address">Address of the first byte, in the terms of the peer's registration.</param>
/// <param name="Key">The rkey.</param>
internal readonly record struct RemoteKey(int Device, ulong Address, uint Key);
