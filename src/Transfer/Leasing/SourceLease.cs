using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Leasing;

/// <summary>
/// A peer's promise that a shard's bytes stay where they are. Renewed by its session as long as that is up. What was read under it counts only if the lease is still
/// valid after the last byte was read. Disposing gives it back to the peer.
/// </summary>
internal sealed class SourceLease : IDisposable
{
    private readonly LeaseSession _session;
    private readonly TimeProvider _time;
    private readonly long _lastValid;
    private long _validUntil;
    private volatile bool _isRecalled;
    private int _disposed;

    /// <param name="asked">Timestamp taken before the request was sent.</param>
    /// <param name="holds">How long the peer said that the lease holds.</param>
    public SourceLease(
        LeaseSession session, ulong id, ShardInfo shard, FileLocation? file, MemoryLocation? memory, GpuLocation? gpu, bool isBrief, long asked, TimeSpan holds, TimeProvider time)
    {
        (_session, Id, Shard, File, Memory, Gpu, IsBrief, _time) = (session, id, shard, file, memory, gpu, isBrief, time);
        _lastValid = isBrief ? Until(asked, WireLimits.MaxBriefLeaseTime) : long.MaxValue;
        _validUntil = Until(asked, holds);
    }

    /// <summary>The peer's number of the lease.</summary>
    public ulong Id { get; }

    public ShardInfo Shard { get; }

    /// <summary>Where the bytes lie in a file; null for any other lease.</summary>
    public FileLocation? File { get; }

    /// <summary>Where the bytes lie in registered memory; null for any other lease.</summary>
    public MemoryLocation? Memory { get; }

    /// <summary>Where the bytes lie on a GPU; null for any other lease.</summary>
    public GpuLocation? Gpu { get; }

    /// <summary>Whether it ends after <see cref="WireLimits.MaxBriefLeaseTime"/>, however often it is renewed.</summary>
    public bool IsBrief { get; }

    /// <summary>The peer wants back the memory that this lease keeps, and has not renewed it.</summary>
    public bool IsRecalled => _isRecalled;

    /// <summary>
    /// Whether the promise surely holds now, by this node's monotonic clock: its time is counted from before the request, or the last renewal that was answered, was sent,
    /// so that the peer's clock always runs out later.
    /// </summary>
    public bool IsValid => Volatile.Read(ref _disposed) == 0 && _time.GetTimestamp() < Volatile.Read(ref _validUntil);

    /// <summary>How long the promise surely holds without another renewal; zero when it has run out.</summary>
    public TimeSpan Remaining
    {
        get
        {
            var left = Volatile.Read(ref _validUntil) - _time.GetTimestamp();
            return left > 0 && Volatile.Read(ref _disposed) == 0 ? TimeSpan.FromSeconds(left / (double)_time.TimestampFrequency) : TimeSpan.Zero;
        }
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _session.Release(this);
        }
    }

    /// <summary>
    /// Takes a renewal that was answered. A lease that has run out by now may have run out for the peer before the renewal reached it, and stays ended.
    /// </summary>
    /// <param name="asked">Timestamp taken before the renewal was sent.</param>
    /// <param name="recalls">Of what the peer lends out of its memory nothing was renewed.</param>
    public void Renew(long asked, TimeSpan holds, bool recalls)
    {
        _isRecalled = recalls && File is { Tier: Tiers.Memory } && !IsBrief;
        if (_isRecalled)
        {
            return;
        }

        var before = Volatile.Read(ref _validUntil);
        if (_time.GetTimestamp() < before)
        {
            Volatile.Write(ref _validUntil, Math.Min(_lastValid, Math.Max(before, Until(asked, holds))));
        }
    }

    private long Until(long asked, TimeSpan holds) => asked + (long)(holds.TotalSeconds * _time.TimestampFrequency);
}
