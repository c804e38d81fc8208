using P2PWeights.Store.Content;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Sessions;

/// <summary>What one peer holds of one swarm, as it last told. The bitmap is replaced, never changed, so that a reader keeps a consistent one.</summary>
internal sealed class RemoteSwarm(Digest manifest, int shards)
{
    private readonly Lock _gate = new();
    private volatile ShardBitmap _held = new(shards);

    /// <summary>Raised after <see cref="Held"/> was replaced; handlers must not block.</summary>
    public event Action? Changed;

    public Digest Manifest => manifest;

    public ShardBitmap Held => _held;

    /// <summary>Takes a whole bitmap: the swarm's length, or empty from a peer that does not know the manifest.</summary>
    /// <exception cref="TransferException">Its length is neither.</exception>
    public void Take(BitmapMessage message)
    {
        if (message.Held.Length != shards && message.Held.Length != 0)
        {
            throw FrameCodec.Violation($"a bitmap of {message.Held.Length} shards is no bitmap of manifest {manifest.ToShortString()}, which has {shards}");
        }

        Change(_ => message.Held.Length == shards ? message.Held : new ShardBitmap(shards));
    }

    /// <summary>Takes changes.</summary>
    /// <exception cref="TransferException">An ordinal is outside the manifest.</exception>
    public void Take(HaveMessage message)
    {
        var (gained, lost) = (message.Gained, message.Lost);
        if (gained.Any(IsOutside) || lost.Any(IsOutside))
        {
            throw FrameCodec.Violation($"a change of shards outside manifest {manifest.ToShortString()}, which has {shards}");
        }

        Change(before =>
        {
            var held = before.Clone();
            foreach (var ordinal in gained)
            {
                held[ordinal] = true;
            }

            foreach (var ordinal in lost)
            {
                held[ordinal] = false;
            }

            return held;
        });
    }

    /// <summary>The peer said that it does not hold a shard after all.</summary>
    public void Clear(int ordinal) => Change(before =>
    {
        var held = before.Clone();
        held[ordinal] = false;
        return held;
    });

    private bool IsOutside(int ordinal) => ordinal >= shards;

    /// <summary>The session and the pulls change it, each on its own thread: no change may undo another.</summary>
    private void Change(Func<ShardBitmap, ShardBitmap> change)
    {
        lock (_gate)
        {
            _held = change(_held);
        }

        Changed?.Invoke();
    }
}
