using System.Buffers;
using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// The queue pairs to one peer. A fetch asks for a lease on the peer's memory, reads the shard under it straight into its place, and counts it only if the lease still
/// held when the last byte had come.
/// </summary>
internal sealed class RdmaChannel : IPathChannel
{
    /// <summary>For a session whose lease lane has ended to notice that the peer is gone altogether.</summary>
    private static readonly TimeSpan PeerGoneTime = TimeSpan.FromMilliseconds(500);

    private readonly PeerSession _peer;
    private readonly LeaseSession _leases;
    private readonly (int Index, RdmaQueue Queue)[] _queues;
    private readonly ConcurrentQueue<PathFailure> _unpaired;
    private readonly ReadScheduler _scheduler;
    private readonly ByteRate _rate;
    private readonly TimeProvider _time;
    private readonly ILogger _log;

    // Without a timer it has nothing to free, and a fetch that comes late still links to it.
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _watching;

    /// <param name="queues">Connected queue pairs, with the number of their pair of devices; disposed with this.</param>
    /// <param name="unpaired">Why devices have no queue pair here that could have some.</param>
    /// <param name="readBytes">Bytes per read.</param>
    /// <param name="rate">Cap on what is received.</param>
    public RdmaChannel(
        PeerSession peer, LeaseSession leases, (int Index, RdmaQueue Queue)[] queues, IEnumerable<PathFailure> unpaired, int readBytes, ByteRate rate, TimeProvider time, ILogger log)
    {
        (_peer, _leases, _queues, _rate, _time, _log) = (peer, leases, queues, rate, time, log);
        _unpaired = new ConcurrentQueue<PathFailure>(unpaired);
        _scheduler = new ReadScheduler(queues.Select(queue => queue.Queue), readBytes, time);
        _watching = WatchAsync();
    }

    /// <summary>Why no read can be posted any more, also when none has been tried since; null while one can.</summary>
    private PathFailure? Lost => _scheduler.Broken ?? (Array.TrueForAll(_queues, queue => queue.Queue.Failure is not null)
        ? new PathFailure(_queues[0].Queue.Failure?.Reason ?? FailureReasons.LaneLost, string.Join("; ", _queues.Select(queue => queue.Queue.Failure?.Detail).Distinct()))
        : null);

    public async ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken)
    {
        if (Lost is { } lost)
        {
            return await FailAsync(lost, cancellationToken).ConfigureAwait(false);
        }

        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token, cancellationToken);
        try
        {
            // A peer that brings the shard into its memory first has not stalled, nor has one that has just granted a lease.
            var located = await _leases.LocateAsync(write.Shard, LeaseKind.Memory, () => received(0), either.Token).ConfigureAwait(false);
            received(0);
            using var lease = located.Lease;
            if (lease is { Memory: { } memory })
            {
                return await ReadAsync(write, lease, memory, received, either.Token).ConfigureAwait(false);
            }

            // A cable has two ends: the peer refuses because its devices are lost, and so are the ones here, which is the reason to name.
            return located.Status == FetchStatus.PathFailed && Lost is { } gone ? await FailAsync(gone, either.Token).ConfigureAwait(false) : located.ToFetch();
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return FetchOutcome.Failed(FailureReasons.LaneLost, "the channel was closed");
        }
    }

    public string? TakeLoss()
    {
        if ((_unpaired.TryDequeue(out var unpaired) ? unpaired : _scheduler.TakeLoss()) is not { } loss)
        {
            return null;
        }

        _log.RdmaPartLost(_peer.Peer.Name, loss.Reason, loss.Detail);
        return loss.Reason;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _watching.ConfigureAwait(false);
        await _scheduler.DisposeAsync().ConfigureAwait(false);
    }

    private static unsafe nint AddressOf(in MemoryHandle pin) => (nint)pin.Pointer;

    private async ValueTask<FetchOutcome> ReadAsync(ShardWrite write, SourceLease lease, MemoryLocation memory, Action<int> received, CancellationToken cancellationToken)
    {
        using var pin = write.Buffer.Pin();
        if (!_queues[0].Queue.Covers(AddressOf(pin), write.Shard.Size))
        {
            return FetchOutcome.Failed(FailureReasons.Failed, "the room for the shard lies outside the registered memory");
        }

        var keys = KeysOf(memory);
        for (var offset = 0; offset < write.Shard.Size;)
        {
            // Without a cap this is the whole shard.
            var count = Math.Min(write.Shard.Size - offset, _rate.SliceBytes);
            await _rate.TakeAsync(count, cancellationToken).ConfigureAwait(false);
            var read = new ShardRead(AddressOf(pin), keys, () => lease.IsValid, received);
            if (await _scheduler.ReadAsync(read, offset, count, cancellationToken).ConfigureAwait(false) is { } failure)
            {
                return await FailAsync(failure, cancellationToken).ConfigureAwait(false);
            }

            offset += count;
        }

        return lease.IsValid
            ? new FetchOutcome(FetchStatus.Ok)
            : FetchOutcome.Failed(FailureReasons.LeaseExpired, "the lease ended before the last byte had come");
    }

    private QueueKey?[] KeysOf(MemoryLocation memory)
    {
        var keys = new QueueKey?[_queues.Length];
        foreach (var key in memory.Keys)
        {
            for (var i = 0; i < keys.Length; i++)
            {
                if (_queues[i].Index == key.Device)
                {
                    keys[i] = new QueueKey(key.Address, key.Key);
                }
            }
        }

        return keys;
    }

    /// <summary>A failed read of a peer that is gone altogether is a lost connection, and no fault of this path.</summary>
    private async ValueTask<FetchOutcome> FailAsync(PathFailure failure, CancellationToken cancellationToken)
    {
        if (_leases.Ended.IsCompleted)
        {
            await Task.WhenAny(_peer.Closed, Task.Delay(PeerGoneTime, _time, cancellationToken)).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }

        return _peer.Closed.IsCompletedSuccessfully
            ? new FetchOutcome(FetchStatus.Disconnected, Detail: (await _peer.Closed.ConfigureAwait(false)).Message)
            : FetchOutcome.Failed(failure.Reason, failure.Detail);
    }

    /// <summary>The peer ends its queue pairs with the lane; reads on the way would otherwise notice only when their retries are used up.</summary>
    private async Task WatchAsync()
    {
        try
        {
            var reason = await _leases.Ended.WaitAsync(_stop.Token).ConfigureAwait(false);
            _scheduler.Break(new PathFailure(FailureReasons.LaneLost, $"the lease lane ended: {reason.Message}"));
        }
        catch (OperationCanceledException)
        {
            // The channel is closed first.
        }
    }
}
