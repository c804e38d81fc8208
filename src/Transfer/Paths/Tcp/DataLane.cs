using System.Runtime.CompilerServices;
using System.Threading.Channels;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Reuse;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Paths.Tcp;

/// <summary>
/// Caller's side of one data lane. Fetches are asked for ahead, so that the next shard's bytes follow the last one's without a pause; one loop receives every
/// payload straight into the write it belongs to, and hands it over for hashing on another core while it receives the next. A fetch that is given up stops writing at once, and what still comes of
/// it is thrown away. A fetch allocates nothing: what it needs is used again.
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
    private readonly Stack<PendingFetch> _idle = new();
    private readonly Channel<Request> _outgoing = Channel.CreateUnbounded<Request>(new UnboundedChannelOptions { SingleReader = true });
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

    /// <summary>Why the connection has ended and no fetch can begin; null while it is up.</summary>
    public FetchOutcome? Closed
    {
        get
        {
            lock (_gate)
            {
                return _closed;
            }
        }
    }

    /// <summary>Fetches one shard; see <see cref="IPathChannel.FetchAsync"/>.</summary>
    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    public async ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken)
    {
        PendingFetch? fetch;
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

            if (!_idle.TryPop(out fetch))
            {
                fetch = new PendingFetch(this);
            }

            fetch.Start(++_lastId, write, received, cancellationToken);
            _pending.Add(fetch.Id, fetch);
            _connection.IdleTimeout = _silence;
            if (_pending.Count == 1)
            {
                _connection.ExpectFrame(_silence);
            }
        }

        try
        {
            _outgoing.Writer.TryWrite(new Request(FrameType.Fetch, fetch.Id, fetch.Shard));
            using var registration = cancellationToken.UnsafeRegister(static fetch => ((PendingFetch)fetch!).GiveUp(), fetch);
            return await fetch.Outcome.ConfigureAwait(false);
        }
        finally
        {
            fetch.LetGo();
        }
    }

    /// <summary>Tells the peer that a fetch is not wanted any more.</summary>
    internal void Cancel(uint id) => _outgoing.Writer.TryWrite(new Request(FrameType.Cancel, id, default));

    /// <summary>A fetch that nobody looks at any more, for the next one.</summary>
    internal void TakeBack(PendingFetch fetch)
    {
        lock (_gate)
        {
            _idle.Push(fetch);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        _stop.Dispose();
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
            orphan.LetGo();
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        // The channel is ended rather than its wait cancelled: a wait that can be cancelled allocates each time.
        using var ending = cancellationToken.UnsafeRegister(static writer => ((ChannelWriter<Request>)writer!).TryComplete(), _outgoing.Writer);
        var frames = new FrameBuffer();
        while (await _outgoing.Reader.WaitToReadAsync(CancellationToken.None).ConfigureAwait(false))
        {
            frames.Clear();
            while (_outgoing.Reader.TryRead(out var request))
            {
                if (request.Type == FrameType.Fetch)
                {
                    frames.Append(request.Id, new FetchMessage(request.Shard));
                }
                else
                {
                    frames.Append(request.Id, request.Type);
                }
            }

            await _connection.SendAsync(frames.Frames, cancellationToken).ConfigureAwait(false);
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
                    break;
                case FrameType.Busy:
                    var busy = FrameCodec.Decode<BusyMessage>(await _connection.ReadControlAsync(header, cancellationToken).ConfigureAwait(false));
                    fetch.End(new FetchOutcome(FetchStatus.Busy, TimeSpan.FromMilliseconds(busy.RetryAfterMs)));
                    break;
                case FrameType.NotFound:
                    fetch.End(new FetchOutcome(FetchStatus.NotFound));
                    break;
                case FrameType.Cancelled when fetch.IsAbandoned:
                    break;
                default:
                    throw FrameCodec.Violation($"{header.Type} does not answer a fetch");
            }

            Remove(fetch);
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

    private void Remove(PendingFetch fetch)
    {
        lock (_gate)
        {
            _pending.Remove(fetch.Id);
            if (_pending.Count == 0)
            {
                _connection.IdleTimeout = Timeout.InfiniteTimeSpan;
            }
        }

        fetch.LetGo();
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
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
    [AsyncMethodBuilder(typeof(ReusedValueTask<>))]
    private async ValueTask<int> FillAsync(PendingFetch fetch, CancellationToken cancellationToken)
    {
        var rest = fetch.Buffer;
        try
        {
            while (rest.Length > 0)
            {
                // The fetch's token alone: the lane's end closes the socket.
                var count = await _connection.ReadSomeAsync(rest[..Math.Min(rest.Length, _rate.SliceBytes)], fetch.Cancelled).ConfigureAwait(false);
                rest = rest[count..];
                fetch.Received(count);
                var permit = _rate.TakeAsync(count, fetch.Cancelled);
                if (!permit.IsCompletedSuccessfully)
                {
                    await permit.AsTask().WaitAsync(cancellationToken).ConfigureAwait(false);
                }
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

    /// <summary>A fetch, or the cancellation of one, on its way to the peer.</summary>
    private readonly record struct Request(FrameType Type, uint Id, ShardInfo Shard);
}
