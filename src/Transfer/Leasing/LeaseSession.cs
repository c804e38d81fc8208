using System.Threading.Channels;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Leasing;

/// <summary>
/// Caller's side of a lease lane: asks for leases, renews all of them together, and gives them back in batches. When the lane ends, the leases that are out hold
/// until they run out, and nothing renews them. Thread-safe. Got by <see cref="PeerSession.LeasesAsync"/>; closed with the session, unless somebody else shares it.
/// </summary>
internal sealed class LeaseSession : IAsyncDisposable
{
    /// <summary>Stays below the listener's limit, which counts pings and renewals too.</summary>
    private const int MaxOpenRequests = WireLimits.MaxOutstandingLocates - 16;

    /// <summary>Stands in the queue of frames for "the leases given back until now".</summary>
    private static readonly byte[] ReleasesDue = [];

    private readonly OpenLane _lane;
    private readonly FrameConnection _connection;
    private readonly string _peer;
    private readonly Task _sessionClosed;
    private readonly TimeProvider _time;
    private readonly HeldLeases _held;
    private readonly Lock _gate = new();
    private readonly Dictionary<uint, LeaseRequest> _requests = [];
    private readonly SemaphoreSlim _room = new(MaxOpenRequests);
    private readonly Channel<byte[]> _outgoing = Channel.CreateUnbounded<byte[]>(new UnboundedChannelOptions { SingleReader = true });
    private readonly TaskCompletionSource<Exception> _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;
    private readonly Task _keeping;
    private uint _lastId;
    private Exception? _closed;
    private int _users = 1;

    /// <param name="lane">The connection; disposed with this.</param>
    /// <param name="peer">The peer's name, for messages.</param>
    /// <param name="sessionClosed">Ends when the session does in which the lane was opened: from then on a lane that ends is told as the end of the session.</param>
    /// <param name="renewInterval">How often leases are renewed, or the peer is pinged when there are none.</param>
    public LeaseSession(OpenLane lane, string peer, Task sessionClosed, TimeSpan renewInterval, TimeProvider time)
    {
        (_lane, _connection, _peer, _sessionClosed, _time) = (lane, lane.Connection, peer, sessionClosed, time);
        _held = new HeldLeases(peer, time);
        _connection.IdleTimeout = WireLimits.LeaseTime;
        _running = RunAsync();
        _keeping = KeepAsync(renewInterval);
    }

    /// <summary>Ends with the reason when the lane is down: no new leases, and those that are out hold only until they run out. Never fails.</summary>
    public Task<Exception> Ended => _ended.Task;

    /// <summary>Leases out.</summary>
    public int Leases => _held.Count;

    /// <summary>Asks where the peer's arena is and for the proof that it reads the nonce there; see <see cref="HostProof"/>.</summary>
    /// <param name="challenge"><see cref="HostProof.ChallengeBytes"/> fresh random bytes.</param>
    /// <exception cref="IOException">The lane ended, or no answer came in time.</exception>
    /// <exception cref="TransferException">The peer broke the protocol.</exception>
    public async ValueTask<HostProofMessage> ProveHostAsync(ReadOnlyMemory<byte> challenge, CancellationToken cancellationToken) =>
        (HostProofMessage)await AskAsync(new ProveHostMessage(challenge), default, default, null, cancellationToken).ConfigureAwait(false);

    /// <summary>Has the peer connect its queue pairs to these. Ends the memory leases that were given for queue pairs connected before.</summary>
    /// <returns>The peer's queue pairs: at least one device, each under an index of <paramref name="mine"/> with as many queue pairs.</returns>
    /// <exception cref="TransferException"><see cref="TransferError.PathRefused"/>: the peer connects none, the message says why; or it broke the protocol.</exception>
    /// <exception cref="IOException">The lane ended, or no answer came in time.</exception>
    public async ValueTask<QueuesConnectedMessage> ConnectQueuesAsync(ConnectQueuesMessage mine, CancellationToken cancellationToken)
    {
        var answer = await AskAsync(mine, default, default, null, cancellationToken).ConfigureAwait(false);
        if (answer is QueuesRefusedMessage refused)
        {
            throw new TransferException(TransferError.PathRefused, $"{_peer} connects no queue pairs: {refused.Reason}");
        }

        var connected = (QueuesConnectedMessage)answer;
        foreach (var theirs in connected.Devices)
        {
            if (mine.Devices.FirstOrDefault(device => device.Index == theirs.Index) is not { } device || device.Queues.Length != theirs.Queues.Length)
            {
                throw FrameCodec.Violation($"{_peer} connected {theirs.Queues.Length} queue pairs to device {theirs.Index}, which were not asked for");
            }
        }

        return connected;
    }

    /// <summary>Asks for a lease. Ends in an outcome, or in a cancellation: a lease that comes after that is given back.</summary>
    public ValueTask<LocateOutcome> LocateAsync(ShardInfo shard, LeaseKind kind, CancellationToken cancellationToken) => LocateAsync(shard, kind, null, cancellationToken);

    /// <inheritdoc cref="LocateAsync(ShardInfo, LeaseKind, CancellationToken)"/>
    /// <param name="working">Called now and then while the peer says that it is working on it, bringing the shard into memory for instance; never once this has ended, however it did.</param>
    public async ValueTask<LocateOutcome> LocateAsync(ShardInfo shard, LeaseKind kind, Action? working, CancellationToken cancellationToken)
    {
        try
        {
            return (LocateOutcome)await AskAsync(new LocateMessage(shard, kind), shard, kind, working, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException e)
        {
            return new LocateOutcome(_sessionClosed.IsCompleted ? FetchStatus.Disconnected : FetchStatus.PathFailed, Detail: e.Message);
        }
        catch (TransferException e)
        {
            return new LocateOutcome(FetchStatus.ProtocolError, Detail: e.Message);
        }
    }

    /// <summary>Adds a user, who disposes of this too: for leases that outlive the session. False when the lane is closed.</summary>
    public bool TryShare()
    {
        lock (_gate)
        {
            return _users > 0 && _users++ > 0;
        }
    }

    /// <summary>Ends one use; the last one closes the lane.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            if (--_users != 0)
            {
                return; // others use it, or it is closed
            }
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await _running.ConfigureAwait(false);
        await _keeping.ConfigureAwait(false);
        _stop.Dispose();
    }

    /// <summary>Called by a lease that is disposed.</summary>
    internal void Release(SourceLease lease)
    {
        if (_held.Release(lease))
        {
            _outgoing.Writer.TryWrite(ReleasesDue);
        }
    }

    /// <summary>Sends a request and waits for its answer.</summary>
    private async ValueTask<object> AskAsync<T>(T message, ShardInfo shard, LeaseKind kind, Action? working, CancellationToken cancellationToken)
        where T : IFrameMessage<T>
    {
        using var deadline = new CancellationTokenSource(WireLimits.LeaseRequestTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await _room.WaitAsync(either.Token).ConfigureAwait(false);
            var (id, request) = Open(T.Type, shard, kind, working);
            _outgoing.Writer.TryWrite(FrameCodec.Encode(id, message));
            await using var registration = either.Token.UnsafeRegister((_, cancelled) => GiveUp(id, request, cancelled), null).ConfigureAwait(false);
            return await request.Answer.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new IOException($"{_peer} did not answer {T.Type} within {WireLimits.LeaseRequestTimeout.TotalSeconds} s");
        }
    }

    private (uint Id, LeaseRequest Request) Open(FrameType asked, ShardInfo shard, LeaseKind kind, Action? working)
    {
        lock (_gate)
        {
            if (_closed is { } reason)
            {
                _room.Release();
                throw reason is TransferException broken
                    ? new TransferException(broken.Error, broken.Message, broken)
                    : new IOException($"the lease lane to {_peer} is down: {reason.Message}", reason);
            }

            var request = new LeaseRequest(asked, shard, kind, _time.GetTimestamp(), working);
            _requests.Add(++_lastId, request);
            return (_lastId, request);
        }
    }

    private void GiveUp(uint id, LeaseRequest request, CancellationToken cancelled)
    {
        if (request.TryAbandon(cancelled) && request.Asked == FrameType.Locate)
        {
            _outgoing.Writer.TryWrite(FrameCodec.Encode(id, FrameType.Cancel));
        }
    }

    private async Task RunAsync()
    {
        Exception reason;
        try
        {
            await _connection.RunAsync(ReadAsync, SendAsync, _stop.Token).ConfigureAwait(false);
            reason = new IOException("the lane was closed");
        }
        catch (OperationCanceledException)
        {
            reason = new IOException("the lane was closed");
        }
        catch (IOException e)
        {
            reason = e;
        }
        catch (TransferException e)
        {
            reason = e;
        }
        catch (Exception e)
        {
            // A fault of this node's own. Whoever waits on the lane, or asks it later, is told like of any other end.
            reason = new IOException($"the lane broke: {e.Message}", e);
        }

        _lane.Dispose();
        LeaseRequest[] orphans;
        lock (_gate)
        {
            _closed = reason;
            orphans = [.. _requests.Values];
            _requests.Clear();
        }

        _ended.SetResult(reason);
        foreach (var orphan in orphans)
        {
            orphan.Fail(reason);
            _room.Release();
        }
    }

    /// <summary>Renews the leases, or shows the peer that this node is there; until the session is disposed.</summary>
    private async Task KeepAsync(TimeSpan interval)
    {
        using var timer = new PeriodicTimer(interval, _time);
        try
        {
            while (!_ended.Task.IsCompleted && await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
            {
                _outgoing.Writer.TryWrite(NextSignOfLife());
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    private byte[] NextSignOfLife()
    {
        uint id;
        lock (_gate)
        {
            id = ++_lastId;
        }

        return FrameCodec.Encode(id, _held.TryBeginRenewal(id) ? FrameType.Renew : FrameType.Ping);
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        while (await _outgoing.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (_outgoing.Reader.TryRead(out var frame))
            {
                if (!ReferenceEquals(frame, ReleasesDue))
                {
                    await _connection.SendAsync(frame, cancellationToken).ConfigureAwait(false);
                    continue;
                }

                foreach (var batch in _held.TakeReleased().Chunk(WireLimits.MaxReleases))
                {
                    await _connection.SendAsync(FrameCodec.Encode(0, new ReleaseMessage([.. batch])), cancellationToken).ConfigureAwait(false);
                }
            }
        }
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var header = await _connection.ReadHeaderAsync(cancellationToken).ConfigureAwait(false);
            var payload = await _connection.ReadControlAsync(header, cancellationToken).ConfigureAwait(false);
            switch (header.Type)
            {
                case FrameType.Pong:
                    break;
                case FrameType.Locating:
                    // Beyond that it hangs, whatever it says.
                    if (Find(header.RequestId) is { } open && _time.GetElapsedTime(open.Sent) < WireLimits.LocatingTime)
                    {
                        open.IsWorkedOn();
                    }

                    break;
                case FrameType.Renewed:
                    _held.TakeRenewed(header.RequestId, FrameCodec.Decode<RenewedMessage>(payload));
                    break;
                default:
                    Answer(header, payload);
                    break;
            }
        }
    }

    private LeaseRequest? Find(uint id)
    {
        lock (_gate)
        {
            return _requests.GetValueOrDefault(id);
        }
    }

    private void Answer(FrameHeader header, ReadOnlyMemory<byte> payload)
    {
        var request = Find(header.RequestId) ?? throw FrameCodec.Violation($"{header.Type} answers request {header.RequestId}, which is not open");
        var answer = Decode(request, header.Type, payload);
        lock (_gate)
        {
            _requests.Remove(header.RequestId);
        }

        _room.Release();
        if (!request.TryAnswer(answer))
        {
            (answer as LocateOutcome?)?.Lease?.Dispose();
        }
    }

    private object Decode(LeaseRequest request, FrameType answer, ReadOnlyMemory<byte> payload) => (request.Asked, answer) switch
    {
        (FrameType.Locate, FrameType.LocatedFile) when request.Kind == LeaseKind.File => Take(request, FrameCodec.Decode<LocatedFileMessage>(payload)),
        (FrameType.Locate, FrameType.LocatedMemory) when request.Kind == LeaseKind.Memory => Take(request, FrameCodec.Decode<LocatedMemoryMessage>(payload)),
        (FrameType.Locate, FrameType.LocatedGpu) when request.Kind == LeaseKind.Gpu => Take(request, FrameCodec.Decode<LocatedGpuMessage>(payload)),
        (FrameType.Locate, FrameType.LocateRefused) =>
            new LocateOutcome(FetchStatus.PathFailed, Detail: FrameCodec.Decode<LocateRefusedMessage>(payload).Reason, Reason: FailureReasons.Refused),
        (FrameType.Locate, FrameType.Busy) =>
            new LocateOutcome(FetchStatus.Busy, RetryAfter: TimeSpan.FromMilliseconds(FrameCodec.Decode<BusyMessage>(payload).RetryAfterMs)),
        (FrameType.Locate, FrameType.NotFound) => new LocateOutcome(FetchStatus.NotFound),
        (FrameType.Locate, FrameType.Cancelled) when request.IsAbandoned => new LocateOutcome(FetchStatus.NotFound),
        (FrameType.ProveHost, FrameType.HostProof) => FrameCodec.Decode<HostProofMessage>(payload),
        (FrameType.ConnectQueues, FrameType.QueuesConnected) => FrameCodec.Decode<QueuesConnectedMessage>(payload),
        (FrameType.ConnectQueues, FrameType.QueuesRefused) => FrameCodec.Decode<QueuesRefusedMessage>(payload),
        _ => throw FrameCodec.Violation($"{_peer} answers {request.Asked} with {answer}"),
    };

    private LocateOutcome Take(LeaseRequest request, LocatedFileMessage located)
    {
        if (located.Location.Offset > located.Location.Identity.Size - request.Shard.Size)
        {
            throw FrameCodec.Violation(
                $"{_peer} says that shard {request.Shard.Digest.ToShortString()} of {request.Shard.Size} bytes lies at {located.Location.Offset} of {located.Location.Identity.Size}");
        }

        return Take(request, located.Lease, located.Milliseconds, located.Location, null, null, located.IsBrief);
    }

    private LocateOutcome Take(LeaseRequest request, LocatedMemoryMessage located) =>
        Take(request, located.Lease, located.Milliseconds, null, located.Location, null, isBrief: true);

    private LocateOutcome Take(LeaseRequest request, LocatedGpuMessage located) =>
        Take(request, located.Lease, located.Milliseconds, null, null, located.Location, isBrief: true);

    private LocateOutcome Take(LeaseRequest request, ulong id, int milliseconds, FileLocation? file, MemoryLocation? memory, GpuLocation? gpu, bool isBrief) => new(
        FetchStatus.Ok, _held.Add(new SourceLease(this, id, request.Shard, file, memory, gpu, isBrief, request.Sent, TimeSpan.FromMilliseconds(milliseconds), _time)));
}
