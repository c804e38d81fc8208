namespace P2PWeights.Store;

/// <summary>The arena of a store, for whoever maps it from another process or registers it with a device.</summary>
/// <param name="Path">Full path of the arena file; offsets of memory leases count from its start.</param>
/// <param name="Nonce">
/// The random number in the file's header, in the byte order in which it stands there. A secret: who knows it has read the file. Never sent, only proved.
/// </param>
/// <param name="Address">Where this process has the file mapped, as long as the store is open.</param>
/// <param name="Length">Bytes of the file, all of them mapped.</param>
public sealed record ArenaInfo(string Path, Guid Nonce, nint Address, long Length);

/// <summary>A run of native memory that stays mapped as long as the store is open.</summary>
/// <param name="Address">Its first byte, on a page boundary.</param>
/// <param name="Length">Bytes.</param>
public readonly record struct MemoryRegion(nint Address, long Length);
