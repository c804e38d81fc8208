using P2PWeights.Store.Content;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Sessions;

/// <summary>
/// What one peer holds of one swarm, as it last told. Changed by its session alone, and copied by who reads it: however often the peer tells of changes, each costs
/// what it says and not a bitmap. Thread-safe.
/// </summary>
internal sealed class RemoteSwarm(Digest manifest, int shards)
{
    private readonly Lock _gate = new();
    private ShardBitmap _held = new(shards);
    private volatile bool _hasTold;
    private volatile bool _isPublisher;

    /// <summary>Raised after the peer told something; handlers must not block.</summary>
    public event Action? Changed;

    public Digest Manifest => manifest;

    /// <summary>Subscriptions that share this one; kept by the session, under its lock.</summary>
    public int Subscribers { get; set; }

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
        lock (_gate)
        {
            _held = message.Held.Length == shards ? message.Held : new ShardBitmap(shards);
        }

        _hasTold = true;
        Changed?.Invoke();
    }

    /// <summary>Takes changes. Those that come before a whole bitmap are of an earlier subscription.</summary>
    /// <exception cref="TransferException">An ordinal is outside the manifest.</exception>
    public void Take(HaveMessage message)
    {
        var (gained, lost) = (message.Gained, message.Lost);
        if (gained.Any(IsOutside) || lost.Any(IsOutside))
        {
            throw FrameCodec.Violation($"a change of shards outside manifest {manifest.ToShortString()}, which has {shards}");
        }

        if (!_hasTold)
        {
            return;
        }

        lock (_gate)
        {
            foreach (var ordinal in gained)
            {
                _held[ordinal] = true;
            }

            foreach (var ordinal in lost)
            {
                _held[ordinal] = false;
            }
        }

        Changed?.Invoke();
    }

    /// <summary>A copy of the bitmap of shards that the peer holds.</summary>
    public ShardBitmap Held()
    {
        lock (_gate)
        {
            return _held.Clone();
        }
    }

    private bool IsOutside(int ordinal) => ordinal >= shards;
}
