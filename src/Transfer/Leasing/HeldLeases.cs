using System.Collections.Immutable;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Leasing;

/// <summary>The leases that one session holds of its peer: which are out, which are to be given back, and which a renewal under way is about. Thread-safe.</summary>
/// <param name="peer">The peer's name, for messages.</param>
internal sealed class HeldLeases(string peer, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, SourceLease> _out = [];
    private List<ulong> _released = [];
    private Renewal? _renewal;

    /// <summary>Leases out.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _out.Count;
            }
        }
    }

    /// <exception cref="TransferException">The peer gave this id before.</exception>
    public SourceLease Add(SourceLease lease)
    {
        lock (_gate)
        {
            return _out.TryAdd(lease.Id, lease) ? lease : throw FrameCodec.Violation($"{peer} gives lease {lease.Id} a second time");
        }
    }

    /// <summary>Notes that a lease is to be given back. True when it is the first one since <see cref="TakeReleased"/>.</summary>
    public bool Release(SourceLease lease)
    {
        lock (_gate)
        {
            if (!_out.Remove(lease.Id))
            {
                return false;
            }

            _released.Add(lease.Id);
            return _released.Count == 1;
        }
    }

    /// <summary>What is to be given back now.</summary>
    public List<ulong> TakeReleased()
    {
        lock (_gate)
        {
            var released = _released;
            _released = [];
            return released;
        }
    }

    /// <summary>Begins a renewal of all leases that are out, which is sent after this. False when there are none, or one is under way.</summary>
    public bool TryBeginRenewal(uint request)
    {
        lock (_gate)
        {
            if (_out.Count == 0 || _renewal is not null)
            {
                return false;
            }

            _renewal = new Renewal(request, time.GetTimestamp(), [.. _out.Values]);
            return true;
        }
    }

    /// <summary>Takes the answer to a renewal: it is about the leases that were out when that was sent.</summary>
    /// <exception cref="TransferException">No such renewal is under way.</exception>
    public void TakeRenewed(uint request, RenewedMessage renewed)
    {
        Renewal renewal;
        lock (_gate)
        {
            renewal = _renewal?.Request == request ? _renewal : throw FrameCodec.Violation($"{peer} renews leases that it was not asked to renew");
            _renewal = null;
        }

        foreach (var lease in renewal.Leases)
        {
            lease.Renew(renewal.Sent, TimeSpan.FromMilliseconds(renewed.Milliseconds), renewed.Recalls);
        }
    }

    /// <summary>A renewal that waits for its answer.</summary>
    /// <param name="Request">Its request id.</param>
    /// <param name="Sent">Timestamp taken before it is sent.</param>
    private sealed record Renewal(uint Request, long Sent, ImmutableArray<SourceLease> Leases);
}
