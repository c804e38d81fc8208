using System.Threading.Channels;
using P2PWeights.Store;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Paths.Tcp;

/// <summary>
/// Caller's side of one data lane. Fetches are asked for ahead, so that the next shard's bytes follow the last one's without a pause; one loop receives every
/// payload straight into the write it belongs to. A fetch that is given up stops writing at once, and what still comes of it is thrown away.
/// </summary>
internal sealed class DataLane : IAsyncDisposable
{
    private const int DiscardBytes = 256 << 10;

    /// <summary>When to ask again after the lane was full: a few shards have been answered by then.</summary>
    private static readonly TimeSpan LaneFullRetry = TimeSpan.FromMilliseconds(50);

    private readonly OpenLane _lane;
    private readonly FrameConnection _connection;
    private readonly TimeSpan _silence;
    private readonly ByteRate _rate;
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, PendingFetch> _pending = [];
    private readonly Channel<byte[]> _outgoing = Channel.CreateUnbounded<byte[]>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private byte[]? _discard;
    private uint _lastId;
    private FetchOutcome? _closed;

    /// <param name="lane">The connection; disposed with this.</param>
    /// <param name="stallTimeout">With fetches open, the lane ends when nothing comes for twice this long; by then the pull has taken its shards back.</param>
    /// <param name="rate">Cap on what is received.</param>
    public DataLane(OpenLane lane, TimeSpan stallTimeout, ByteRate rate)
    {
        _lane = lane;
        _connection = lane.Connection;
        _silence = 2 * stallTimeout;
        _connection.FrameTimeout = _silence;
        _rate = rate;
        _running = RunAsync();
    }

    /// <summary>Whether the connection has ended; no fetch can begin.</summary>
    public bool IsClosed
    {
        get
        {
            lock (_gate)
            {
                return _closed is not null;
            }
        }
    }

    /// <summary>Fetches one shard; see <see cref="IPathChannel.FetchAsync"/>.</summary>
    public async ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken)
    {
        var fetch = new PendingFetch(write, received, cancellationToken);
        uint id;
        lock (_gate)
        {
            if (_closed is { } reason)
            {
                return reason;
            }

            // Several pulls share the lane, and fetches given up still wait for their answers on it.
            if (_pending.Count == WireLimits.MaxOutstandingFetches)
            {
                return new FetchOutcome(FetchStatus.Busy, LaneFullRetry);
            }

            id = ++_lastId;
            _pending.Add(id, fetch);
            _connection.IdleTimeout = _silence;
            if (_pending.Count == 1)
            {
                _connection.ExpectFrame(_silence);
            }
        }

        _outgoing.Writer.TryWrite(FrameCodec.Encode(id, new FetchMessage(write.Shard)));
        await using var registration = cancellationToken.UnsafeRegister(_ => GiveUp(id, fetch), null).ConfigureAwait(false);
        return await fetch.Outcome.ConfigureAwait(false);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>Cancelled by its owner. When its payload is on the way already, the receive loop sees the token itself.</summary>
    private void GiveUp(uint id, PendingFetch fetch)
    {
        if (fetch.TryAbandon())
        {
            _outgoing.Writer.TryWrite(FrameCodec.Encode(id, FrameType.Cancel));
        }
    }

    private async Task RunAsync()
    {
        FetchOutcome reason;
        try
        {
            await _connection.RunAsync(ReceiveAsync, SendAsync, _stop.Token).ConfigureAwait(false);
            reason = new FetchOutcome(FetchStatus.Disconnected, Detail: "the lane was closed");
        }
        catch (OperationCanceledException)
        {
            reason = new FetchOutcome(FetchStatus.Disconnected, Detail: "the lane was closed");
        }
        catch (IOException e)
        {
            reason = new FetchOutcome(FetchStatus.Disconnected, Detail: e.Message);
        }
        catch (TransferException e)
        {
            reason = new FetchOutcome(FetchStatus.ProtocolError, Detail: e.Message);
        }

        _lane.Dispose();
        PendingFetch[] orphans;
        lock (_gate)
        {
            _closed = reason;
            orphans = [.. _pending.Values];
            _pending.Clear();
        }

        foreach (var orphan in orphans)
        {
            orphan.End(reason);
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        while (await _outgoing.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (_outgoing.Reader.TryRead(out var frame))
            {
                await _connection.SendAsync(frame, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task ReceiveAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var header = await _connection.ReadHeaderAsync(cancellationToken).ConfigureAwait(false);
            var fetch = Find(header);
            switch (header.Type)
            {
                case FrameType.Data when header.Length != fetch.Shard.Size:
                    throw FrameCodec.Violation($"{header.Length} bytes were announced for shard {fetch.Shard.Digest.ToShortString()} of {fetch.Shard.Size}");
                case FrameType.Data:
                    await ReceiveDataAsync(fetch, cancellationToken).ConfigureAwait(false);
                    Remove(header.RequestId);
                    break;
                case FrameType.Busy:
                    var busy = FrameCodec.Decode<BusyMessage>(await _connection.ReadControlAsync(header, cancellationToken).ConfigureAwait(false));
                    Remove(header.RequestId);
                    fetch.End(new FetchOutcome(FetchStatus.Busy, TimeSpan.FromMilliseconds(busy.RetryAfterMs)));
                    break;
                case FrameType.NotFound:
                    Remove(header.RequestId);
                    fetch.End(new FetchOutcome(FetchStatus.NotFound));
                    break;
                case FrameType.Cancelled when fetch.IsAbandoned:
                    Remove(header.RequestId);
                    break;
                default:
                    throw FrameCodec.Violation($"{header.Type} does not answer a fetch");
            }
        }
    }

    private PendingFetch Find(FrameHeader header)
    {
        lock (_gate)
        {
            return _pending.GetValueOrDefault(header.RequestId)
                ?? throw FrameCodec.Violation($"{header.Type} answers request {header.RequestId}, which is not open");
        }
    }

    private void Remove(uint id)
    {
        lock (_gate)
        {
            _pending.Remove(id);
            if (_pending.Count == 0)
            {
                _connection.IdleTimeout = Timeout.InfiniteTimeSpan;
            }
        }
    }

    private async ValueTask ReceiveDataAsync(PendingFetch fetch, CancellationToken cancellationToken)
    {
        var left = fetch.Shard.Size;
        if (fetch.TryBegin())
        {
            left = await FillAsync(fetch, cancellationToken).ConfigureAwait(false);
        }

        _discard ??= left > 0 ? new byte[DiscardBytes] : null;
        while (left > 0)
        {
            left -= await _connection.ReadSomeAsync(_discard.AsMemory(0, Math.Min(left, DiscardBytes)), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Receives into the write until it is full or the fetch is given up. Returns the bytes still to come.</summary>
    private async ValueTask<int> FillAsync(PendingFetch fetch, CancellationToken cancellationToken)
    {
        var rest = fetch.Buffer;
        var slice = _rate.SliceBytes;
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, fetch.Cancelled);
        try
        {
            while (rest.Length > 0)
            {
                var room = rest[..Math.Min(rest.Length, slice)];
                var count = await _connection.ReadSomeAsync(room, either.Token).ConfigureAwait(false);
                rest = rest[count..];
                fetch.Received(count);
                await _rate.TakeAsync(count, either.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (fetch.Cancelled.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            fetch.EndCancelled();
            return rest.Length;
        }

        fetch.End(new FetchOutcome(FetchStatus.Ok));
        return 0;
    }
}
