using P2PWeights.Store.Adopting;
using P2PWeights.Store.Reuse;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// The GPU arenas of another node of this host, each opened when a shard of it is first wanted. What is copied out of them is worth as much as the other node's promise; whoever reads asks
/// <see cref="IsUnchanged"/> afterwards, and nothing is believed before it was hashed. Thread-safe; closed by the last of its users. Got by <see cref="ShardStore.OpenForeignGpus"/>.
/// </summary>
public sealed class ForeignGpus
{
    private readonly ForeignArena _arena;
    private readonly IReadOnlyList<GpuExport> _exports;
    private readonly ForeignGpuOpening[] _opened;
    private readonly Users _users;

    /// <param name="arena">The other node's memory tier; taken over.</param>
    internal ForeignGpus(ForeignArena arena, IReadOnlyList<GpuExport> exports, GpuTier tier)
    {
        (_arena, _exports) = (arena, exports);
        _opened = [.. exports.Select(export => tier.OpeningOf(export, arena.Path))];
        _users = new Users(this);
    }

    /// <summary>Whether the node that told of the GPU arenas still has its memory open, and no other process since.</summary>
    public bool IsUnchanged => _arena.IsUnchanged();

    /// <summary>What the devices of that node's arenas were given to copy by this process.</summary>
    public GpuCopies Copies => _opened.Aggregate(default(GpuCopies), (sum, arena) => sum + (arena.Opened?.Copies ?? default));

    /// <summary>Whether a GPU arena was told of that has such a range.</summary>
    public bool Has(int gpu, long offset, int size) => gpu >= 0 && gpu < _exports.Count && offset >= 0 && offset <= _exports[gpu].Bytes - size;

    /// <summary>Adds a user; false when it is closed.</summary>
    public bool TryUse() => _users.TryShare();

    /// <summary>Ends one use. Whoever got this has the first.</summary>
    public void EndUse() => _users.Release();

    /// <summary>Copies bytes of a shard to the host's memory, in use meanwhile. Cannot be cancelled.</summary>
    /// <param name="gpu">With the range, checked by <see cref="Has"/>.</param>
    /// <exception cref="IOException">The arena cannot be opened, or a device failed.</exception>
    public async Task ReadAsync(int gpu, long offset, Memory<byte> destination)
    {
        var arena = await _opened[gpu].OpenAsync().ConfigureAwait(false);
        await arena.CopyOutAsync(offset, destination).ConfigureAwait(false);
    }

    /// <summary>The arena of one GPU.</summary>
    /// <exception cref="IOException">It cannot be opened.</exception>
    internal Task<IForeignGpuArena> OpenAsync(int gpu) => _opened[gpu].OpenAsync();

    private sealed class Users(ForeignGpus gpus) : Counted
    {
        protected override void End()
        {
            foreach (var arena in gpus._opened)
            {
                arena.Close();
            }

            gpus._arena.Dispose();
        }
    }
}
