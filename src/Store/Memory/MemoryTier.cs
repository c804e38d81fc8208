using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Memory;

/// <summary>
/// The memory tier: blocks of the arena, each kept by a count of holds. So a replica can be dropped while it is being read, and its room comes back after the read.
/// Thread-safe.
/// </summary>
internal sealed class MemoryTier
{
    private readonly Arena _arena;
    private readonly HeldBlocks _blocks;
    private int _shards;

    /// <param name="recovered">Whether the arena comes from an earlier process, so that its blocks must be taken again.</param>
    public MemoryTier(Arena arena, bool recovered)
    {
        _arena = arena;
        _blocks = new HeldBlocks(arena.Units);
        if (recovered)
        {
            Recovered = [.. Reclaim()];
        }
    }

    /// <summary>Shards found at the start; nobody has hashed them yet.</summary>
    public IReadOnlyList<(ShardInfo Shard, int Unit)> Recovered { get; } = [];

    /// <summary>Largest shard that fits a block; larger ones go to disk.</summary>
    public static int MaxShardBytes => BuddyAllocator.MaxBlockBytes;

    public SafeFileHandle File => _arena.File;

    public string ArenaPath => _arena.Path;

    /// <summary>The arena as others see it.</summary>
    public ArenaInfo Info => new(_arena.Path, _arena.Nonce, _arena.Mapped.Address, _arena.Mapped.Length);

    /// <summary>Where the blocks lie.</summary>
    public MemoryRegion Region => _arena.Data;

    public long QuotaBytes => _blocks.QuotaBytes;

    /// <summary>Bytes of all blocks in use, rounding included.</summary>
    public long UsedBytes => _blocks.UsedBytes;

    public int Shards => Volatile.Read(ref _shards);

    /// <summary>Bytes that a shard takes here.</summary>
    public static long BlockBytes(int size) => HeldBlocks.BlockBytes(size);

    /// <summary>Takes a block and holds it for the caller; false when no block is free.</summary>
    public bool TryAllocate(int size, out int unit) => _blocks.TryAllocate(size, out unit);

    public Memory<byte> Bytes(int unit, int size) => _arena.Bytes(unit, size);

    public long OffsetOf(int unit) => _arena.OffsetOf(unit);

    /// <summary>Makes a filled block outlive the process. The caller's hold becomes the index's.</summary>
    public void Publish(int unit, ShardInfo shard)
    {
        _arena.Enter(unit, shard);
        Interlocked.Increment(ref _shards);
    }

    /// <summary>Ends the index's hold of a published block: it is forgotten at once, and free after the last lease.</summary>
    public void Withdraw(int unit)
    {
        _arena.Remove(unit);
        Interlocked.Decrement(ref _shards);
        Release(unit);
    }

    /// <inheritdoc cref="HeldBlocks.Hold"/>
    public void Hold(int unit) => _blocks.Hold(unit);

    /// <inheritdoc cref="HeldBlocks.IsLeased"/>
    public bool IsLeased(int unit) => _blocks.IsLeased(unit);

    /// <inheritdoc cref="HeldBlocks.Release"/>
    public void Release(int unit) => _blocks.Release(unit);

    /// <summary>Digests of published shards, a snapshot to be checked against the index.</summary>
    public List<Digest> Published()
    {
        var digests = new List<Digest>(Shards);
        for (var unit = 0; unit < _blocks.Units; unit++)
        {
            // Most units start no block. A look at the directory for each would read 16 times the memory.
            if (_blocks.IsHeld(unit) && _arena.EntryAt(unit) is { State: ArenaEntry.Live } entry)
            {
                digests.Add(entry.Digest);
            }
        }

        return digests;
    }

    /// <summary>
    /// Closes the arena. While anybody but the index holds a block, a lease, or a write that is still being filled, it stays mapped: touching it unmapped
    /// would end the process.
    /// </summary>
    public void Close() => _arena.Close(keepMapped: _blocks.Holds > Shards);

    /// <summary>Reads the directory back and drops entries that are absurd or overlap an earlier one.</summary>
    private IEnumerable<(ShardInfo, int)> Reclaim()
    {
        for (var unit = 0; unit < _arena.Units; unit++)
        {
            var entry = _arena.EntryAt(unit);
            if (entry.State == ArenaEntry.Empty)
            {
                continue;
            }

            if (entry.State == ArenaEntry.Live && entry.Size is > 0 and <= BuddyAllocator.MaxBlockBytes && _blocks.TryReserve(unit, entry.Size))
            {
                _shards++;
                yield return (new ShardInfo(entry.Digest, entry.Size), unit);
            }
            else
            {
                _arena.Remove(unit);
            }
        }
    }
}
