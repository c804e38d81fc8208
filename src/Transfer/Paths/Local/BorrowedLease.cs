using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Local;

/// <summary>A peer's lease under which the store holds a borrowed shard; given back when the store is through with it.</summary>
internal sealed class BorrowedLease(LendingPeer peer, SourceLease lease) : IForeignLease
{
    private volatile bool _isKept;

    public Digest Shard => lease.Shard.Digest;

    public bool IsValid => lease.IsValid;

    public TimeSpan Remaining => lease.Remaining;

    /// <summary>The peer wants its memory back.</summary>
    public bool IsRecalled => lease.IsRecalled;

    /// <summary>Whether the shard has been copied, or could not be: nothing more is to be done for it.</summary>
    public bool IsKept
    {
        get => _isKept;
        set => _isKept = value;
    }

    public void Dispose()
    {
        lease.Dispose();
        peer.Return(this);
    }
}
