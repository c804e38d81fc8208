using P2PWeights.Store;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Local;

/// <summary>
/// Takes shards from a peer on the same host. Adoption costs no copy: a file of the peer's disk tier is linked, a range of another file referenced, a range of the arena
/// borrowed; into a folder the kernel copies. What cannot be adopted is read with pread into the store's buffer. All under a lease, asked for over the lane of <see cref="LendingPeer"/>.
/// </summary>
/// <param name="peer">In use by this. Its lane may be of an earlier session.</param>
/// <param name="sessionClosed">Ends when the session does that this is a path of.</param>
internal sealed class LocalChannel(ShardStore store, LendingPeer peer, Task sessionClosed) : IPathChannel
{
    /// <summary>Read at once: so that a pull sees life, and a cancellation is noticed.</summary>
    private const int SliceBytes = 4 << 20;

    private readonly CancellationTokenSource _stop = new();
    private int _disposed;

    /// <summary>By what stands in the peer's arena; of a peer without one the first file that it names has to show it.</summary>
    public bool IsProved => peer.Arena is not null;

    /// <inheritdoc/>
    public ValueTask<FetchOutcome> AdoptAsync(ShardInfo shard, ShardTarget target, Action<int> received, CancellationToken cancellationToken) => shard.Size > 0 && target.Gpu is null
        ? WithRangeAsync(shard, (range, token) => AdoptAsync(shard, range, target.Folder, token), received, cancellationToken)
        : ValueTask.FromResult(new FetchOutcome(FetchStatus.NotAdopted));

    /// <inheritdoc/>
    public ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken) =>
        WithRangeAsync(write.Shard, (range, token) => ReadAsync(range, write, received, token), received, cancellationToken);

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _stop.Cancel();
            peer.EndUse();
        }

        return ValueTask.CompletedTask;
    }

    private async ValueTask<FetchOutcome> AdoptAsync(ShardInfo shard, LocatedRange range, CheckpointFolder? folder, CancellationToken cancellationToken)
    {
        bool isAdopted;
        if (folder is not null)
        {
            isAdopted = await store.AdoptAsync(shard, range.Handle, range.Place.Offset, folder, cancellationToken).ConfigureAwait(false);
        }
        else if (range.File is { } file)
        {
            isAdopted = !range.Place.IsUnfinished
                && await store.AdoptAsync(shard, file, range.Place.Offset, range.Place.Tier, cancellationToken).ConfigureAwait(false)
                && (peer.Arena is not null || await IsRightAsync(shard, cancellationToken).ConfigureAwait(false));
        }
        else
        {
            isAdopted = range.MayBeKept && peer.Borrow(range.Arena!, range.Place.Offset, range.TakeLease());
        }

        return new FetchOutcome(isAdopted ? FetchStatus.Ok : FetchStatus.NotAdopted);
    }

    /// <summary>
    /// Hashes what was adopted of a peer that has not proved to be on this host: any peer can name a file here whose identity it was told once. If the bytes are not the shard, the fetch that follows finds
    /// that too, and whose fault it is.
    /// </summary>
    private async ValueTask<bool> IsRightAsync(ShardInfo shard, CancellationToken cancellationToken)
    {
        using var lease = await store.LeaseAsync(shard.Digest, cancellationToken).ConfigureAwait(false);
        return lease is not null;
    }

    private static async ValueTask<FetchOutcome> ReadAsync(LocatedRange range, ShardWrite write, Action<int> received, CancellationToken cancellationToken)
    {
        var buffer = write.Buffer;
        for (var done = 0; done < buffer.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var slice = buffer.Slice(done, Math.Min(SliceBytes, buffer.Length - done));
            int read;
            try
            {
                read = await RandomAccess.ReadAsync(range.Handle, slice, range.Place.Offset + done, cancellationToken).ConfigureAwait(false);
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                return FetchOutcome.Failed(FailureReasons.Moved, $"{range.Place.Path} cannot be read: {failure.Message}");
            }

            if (read == 0)
            {
                return FetchOutcome.Failed(FailureReasons.Moved, $"{range.Place.Path} ends {buffer.Length - done} bytes before the shard does");
            }

            // Before the bytes are told of, so that what was told of counts.
            done += read;
            if (done == buffer.Length && !range.IsIntact)
            {
                return FetchOutcome.Failed(FailureReasons.LeaseExpired, $"the lease on {range.Place.Path} ended before the bytes were read");
            }

            received(read);
        }

        return new FetchOutcome(FetchStatus.Ok);
    }

    /// <summary>Does something with a shard where it lies.</summary>
    private async ValueTask<FetchOutcome> WithRangeAsync(
        ShardInfo shard, Func<LocatedRange, CancellationToken, ValueTask<FetchOutcome>> act, Action<int> received, CancellationToken cancellationToken)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, cancellationToken);
        try
        {
            var (range, failure) = await LocateAsync(shard, received, either.Token).ConfigureAwait(false);
            if (range is null)
            {
                return failure;
            }

            using (range)
            {
                return await act(range, either.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new FetchOutcome(FetchStatus.Disconnected, Detail: "the channel was closed");
        }
    }

    /// <summary>Asks for a lease and opens what it names. A file that has just got its final name is asked for once more.</summary>
    private async ValueTask<(LocatedRange? Range, FetchOutcome Failure)> LocateAsync(ShardInfo shard, Action<int> received, CancellationToken cancellationToken)
    {
        for (var isFirst = true; ; isFirst = false)
        {
            // A peer that first hashes the shard, or copies it out of what it borrowed itself, has not stalled.
            var located = await peer.Leases.LocateAsync(shard, LeaseKind.File, () => received(0), cancellationToken).ConfigureAwait(false);
            if (located.Lease is not { } lease)
            {
                // That a session is closed which opened the lane once says nothing of this one.
                var isPaths = located.Status == FetchStatus.PathFailed || (located.Status == FetchStatus.Disconnected && !sessionClosed.IsCompleted);
                return (null, isPaths
                    ? FetchOutcome.Failed(located.Reason ?? (peer.Leases.Ended.IsCompleted ? FailureReasons.LaneLost : FailureReasons.Failed), located.Detail ?? "the peer gives no lease")
                    : located.ToFetch());
            }

            if (Open(lease, out var problem) is { } range)
            {
                return (range, default);
            }

            var place = lease.File!;
            lease.Dispose();
            if (!isFirst || !place.IsUnfinished)
            {
                return (null, FetchOutcome.Failed(FailureReasons.Moved, problem!));
            }
        }
    }

    private LocatedRange? Open(SourceLease lease, out string? problem)
    {
        var place = lease.File!;
        if (place.Tier == Tiers.Memory)
        {
            var isProved = peer.Arena is { } arena && arena.Path == place.Path && arena.IsUnchanged();
            problem = isProved ? null : $"{place.Path} is not the arena that the peer proved to be its own";
            return isProved ? new LocatedRange(lease, peer.Arena, null) : null;
        }

        return ForeignFile.TryOpen(place.Path, place.Identity, place.IsUnfinished, out problem) is { } file ? new LocatedRange(lease, null, file) : null;
    }
}
