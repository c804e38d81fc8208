using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Adopting;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Local;

/// <summary>A leased shard in a file of the peer's that this node has open: the peer's arena, or any other file.</summary>
internal sealed class LocatedRange : IDisposable
{
    private SourceLease? _lease;

    /// <param name="lease">Taken over; a lease on a file.</param>
    /// <param name="arena">The peer's arena, when the bytes lie there; stays the peer's.</param>
    /// <param name="file">The file, when they lie in another; taken over.</param>
    public LocatedRange(SourceLease lease, ForeignArena? arena, ForeignFile? file) => (_lease, Place, Arena, File) = (lease, lease.File!, arena, file);

    /// <summary>Where the bytes lie, as the peer said it.</summary>
    public FileLocation Place { get; }

    public ForeignArena? Arena { get; }

    public ForeignFile? File { get; }

    /// <summary>The open file.</summary>
    public SafeFileHandle Handle => File?.Handle ?? Arena!.Handle;

    /// <summary>Whether the lease lasts for as long as it is renewed. Else the bytes are to be read and the lease to be given back.</summary>
    public bool MayBeKept => _lease is { IsBrief: false };

    /// <summary>Whether what was read up to now is what the lease promised.</summary>
    public bool IsIntact => _lease is { IsValid: true } && Arena?.IsUnchanged() != false;

    /// <summary>Hands the lease on to the caller.</summary>
    public SourceLease TakeLease()
    {
        var lease = _lease!;
        _lease = null;
        return lease;
    }

    public void Dispose()
    {
        File?.Dispose();
        _lease?.Dispose();
    }
}
