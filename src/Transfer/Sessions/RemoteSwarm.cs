using P2PWeights.Store.Content;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Sessions;

/// <summary>What one peer holds of one swarm, as it last told. Changed by its session alone; the bitmap is replaced, so that any reader keeps a consistent one.</summary>
internal sealed class RemoteSwarm(Digest manifest, int shards)
{
    private volatile ShardBitmap _held = new(shards);
    private volatile bool _hasTold;
    private volatile bool _isPublisher;

    /// <summary>Raised after <see cref="Held"/> was replaced; handlers must not block.</summary>
    public event Action? Changed;

    public Digest Manifest => manifest;

    public ShardBitmap Held => _held;

    /// <summary>Whether the peer published the manifest.</summary>
    public bool IsPublisher => _isPublisher;

    /// <summary>Whether the peer has answered.</summary>
    public bool HasTold => _hasTold;

    /// <summary>Takes a whole bitmap: the swarm's length, or empty from a peer that does not know the manifest.</summary>
    /// <exception cref="TransferException">Its length is neither.</exception>
    public void Take(BitmapMessage message)
    {
        if (message.Held.Length != shards && message.Held.Length != 0)
        {
            throw FrameCodec.Violation($"a bitmap of {message.Held.Length} shards is no bitmap of manifest {manifest.ToShortString()}, which has {shards}");
        }

        _isPublisher = message.IsPublisher;
        Replace(message.Held.Length == shards ? message.Held : new ShardBitmap(shards));
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

        var held = _held.Clone();
        foreach (var ordinal in gained)
        {
            held[ordinal] = true;
        }

        foreach (var ordinal in lost)
        {
            held[ordinal] = false;
        }

        Replace(held);
    }

    private bool IsOutside(int ordinal) => ordinal >= shards;

    private void Replace(ShardBitmap held)
    {
        (_held, _hasTold) = (held, true);
        Changed?.Invoke();
    }
}
