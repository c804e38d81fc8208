using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Local;

/// <summary>
/// A peer on this host that gives leases on its files and its arena, over a lane that is kept beyond the session in which it was opened, because what is borrowed outlives the pull that borrowed it.
/// When the peer goes away or wants its memory back, or a lease is about to run out without having been renewed, the borrowed shards are copied into this node's tiers. The lane ends when
/// nobody uses it and nothing is borrowed. Thread-safe.
/// </summary>
/// <param name="leases">In use by this, from the start.</param>
/// <param name="arena">The peer's arena, proved; null when it has none. Taken over.</param>
internal sealed class LendingPeer(ShardStore store, PeerInfo peer, LeaseSession leases, ForeignArena? arena, TimeProvider time, ILogger log)
{
    private const int CopiesAtOnce = 2;

    private static readonly TimeSpan CheckInterval = TimeSpan.FromSeconds(1);

    /// <summary>A lease with less left has missed its renewals; the copy of a shard takes far less.</summary>
    private static readonly TimeSpan TooLittleLeft = TimeSpan.FromSeconds(3);

    private readonly Lock _gate = new();
    private readonly HashSet<BorrowedLease> _borrowed = [];
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _users = 1;

    /// <summary>The peer's node id.</summary>
    public Guid Id => peer.Id;

    /// <summary>The peer's arena; null when it has none.</summary>
    public ForeignArena? Arena => arena;

    public LeaseSession Leases => leases;

    /// <summary>Adds a user, who calls <see cref="EndUse"/>; false when this one is at its end.</summary>
    public bool TryUse()
    {
        lock (_gate)
        {
            if (_idle.Task.IsCompleted || leases.Ended.IsCompleted)
            {
                return false;
            }

            _users++;
            return true;
        }
    }

    public void EndUse()
    {
        lock (_gate)
        {
            _users--;
            EndIfIdle();
        }
    }

    /// <summary>Has the store borrow a shard in the arena.</summary>
    /// <param name="lease">Taken over.</param>
    public bool Borrow(ForeignArena from, long offset, SourceLease lease)
    {
        var borrowed = new BorrowedLease(this, lease);
        lock (_gate)
        {
            _borrowed.Add(borrowed);
        }

        return store.Borrow(lease.Shard, from, offset, borrowed);
    }

    /// <summary>The store is through with a borrowed shard.</summary>
    public void Return(BorrowedLease lease)
    {
        lock (_gate)
        {
            _borrowed.Remove(lease);
            EndIfIdle();
        }
    }

    /// <summary>Looks after what is borrowed until nobody needs it, or until cancelled; then ends the lane.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (!_idle.Task.IsCompleted)
            {
                // Once the lane has ended, all that is borrowed has been dealt with, and what readers hold comes back by itself.
                var news = leases.Ended.IsCompleted ? _idle.Task : Task.WhenAny(_idle.Task, leases.Ended);
                await Task.WhenAny(news, Task.Delay(CheckInterval, time, cancellationToken)).ConfigureAwait(false);
                cancellationToken.ThrowIfCancellationRequested();
                try
                {
                    await KeepAsync(cancellationToken).ConfigureAwait(false);
                }
                catch (Exception failure) when (failure is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
                {
                    // Whatever it was, nobody else looks after what is borrowed: what was not kept is tried again at the next look.
                    log.KeepingFailed(peer.Name, failure);
                }
            }
        }
        catch (OperationCanceledException)
        {
        }

        await leases.DisposeAsync().ConfigureAwait(false);
        arena?.Dispose();
    }

    /// <summary>Copies what would be lost.</summary>
    private async Task KeepAsync(CancellationToken cancellationToken)
    {
        var hasEnded = leases.Ended.IsCompleted;
        List<BorrowedLease> ending;
        lock (_gate)
        {
            ending = [.. _borrowed.Where(lease => !lease.IsKept && IsEnding(lease))];
        }

        if (ending.Count == 0)
        {
            return;
        }

        // Else a store that is too small would give up the first copies for the last ones.
        using var pin = store.Pin(ending.Select(lease => lease.Shard));
        var (kept, lost) = (0, 0);
        await Parallel.ForEachAsync(
            ending,
            new ParallelOptions { MaxDegreeOfParallelism = CopiesAtOnce, CancellationToken = cancellationToken },
            async (lease, token) =>
            {
                // A peer that has got enough of its memory back renews what is left.
                if (IsEnding(lease))
                {
                    var isKept = await KeepAsync(lease.Shard, token).ConfigureAwait(false);
                    lease.IsKept = true;
                    Interlocked.Increment(ref (isKept ? ref kept : ref lost));
                }
            }).ConfigureAwait(false);
        var reason = hasEnded ? (await leases.Ended.ConfigureAwait(false)).Message
            : ending.Exists(lease => lease.IsRecalled) ? "it wants its memory back"
            : "its leases were not renewed in time";
        log.BorrowedKept(peer.Name, kept, lost, reason);
    }

    private bool IsEnding(BorrowedLease lease) => lease.IsRecalled || leases.Ended.IsCompleted || lease.Remaining < TooLittleLeft;

    private async ValueTask<bool> KeepAsync(Digest shard, CancellationToken cancellationToken)
    {
        try
        {
            return await store.KeepBorrowedAsync(shard, cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // The store closes, and with it ends all that it borrowed.
            return false;
        }
    }

    /// <summary>Under the lock.</summary>
    private void EndIfIdle()
    {
        if (_users == 0 && _borrowed.Count == 0)
        {
            _idle.TrySetResult();
        }
    }
}
