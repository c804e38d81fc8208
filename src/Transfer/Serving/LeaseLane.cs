using System.Collections.Concurrent;
using System.Threading.Channels;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Listener's side of one lease lane. Requests are answered concurrently, in no order, so that none holds up another, a ping or a renewal. When the connection has
/// ended, the queue pairs connected on it end and with them the leases on memory, which keep upload slots; others stay until they run out, because their holder may
/// still read. When the node stops, all end at once.
/// </summary>
internal sealed class LeaseLane(FrameConnection connection, Guid peer, ServingContext context) : IDisposable
{
    /// <summary>How late a lease may end, and how often a caller is told that its Locate is worked on.</summary>
    private static readonly TimeSpan SweepInterval = TimeSpan.FromMilliseconds(250);

    private readonly LeaseLaneGrants _grants = new(peer, FileHolder.Of(connection, peer), context);
    private readonly OwnedTasks _requests = new();
    private readonly ConcurrentDictionary<uint, OpenLocate> _locates = new();
    private readonly Channel<(byte[] Frame, bool IsAnswer)> _outgoing = Channel.CreateUnbounded<(byte[] Frame, bool IsAnswer)>(new UnboundedChannelOptions { SingleReader = true });
    private readonly CancellationTokenSource _ended = new();
    private int _unanswered;
    private int _connecting;

    /// <summary>Serves until the connection has ended and the last lease with it.</summary>
    /// <exception cref="IOException">The connection ended.</exception>
    /// <exception cref="TransferException">The peer broke the protocol.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var sweeping = SweepAsync(cancellationToken);
        try
        {
            await connection.RunAsync(ReadAsync, SendAsync, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await _ended.CancelAsync().ConfigureAwait(false);
            await _requests.WaitAsync().ConfigureAwait(false);
            await _grants.ReplaceQueuesAsync(null, cancellationToken.IsCancellationRequested ? "stopped" : FailureReasons.LaneLost).ConfigureAwait(false);
            if (_grants.Count > 0)
            {
                context.Log.LeasesLeft(connection.Remote, _grants.Count);
            }

            await sweeping.ConfigureAwait(false);
            await _grants.CloseAsync().ConfigureAwait(false);
        }
    }

    public void Dispose() => _ended.Dispose();

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var header = await connection.ReadHeaderAsync(cancellationToken).ConfigureAwait(false);
            var payload = await connection.ReadControlAsync(header, cancellationToken).ConfigureAwait(false);
            if (header.Type is not (FrameType.Release or FrameType.Cancel) && Interlocked.Increment(ref _unanswered) > WireLimits.MaxOutstandingLocates)
            {
                throw FrameCodec.Violation($"more than {WireLimits.MaxOutstandingLocates} requests wait on one lease lane");
            }

            Take(header, payload);
        }
    }

    private void Take(FrameHeader header, ReadOnlyMemory<byte> payload)
    {
        switch (header.Type)
        {
            case FrameType.Locate:
                BeginLocate(header.RequestId, FrameCodec.Decode<LocateMessage>(payload));
                break;
            case FrameType.Cancel:
                Cancel(header.RequestId);
                break;
            case FrameType.Release:
                if (_grants.TakeReleased(FrameCodec.Decode<ReleaseMessage>(payload)) is { Count: > 0 } released)
                {
                    _requests.Start(() => _grants.EndAsync(released, "released").AsTask());
                }

                break;
            case FrameType.Renew:
                Answer(_grants.Renew(header.RequestId));
                break;
            case FrameType.Ping:
                Answer(FrameCodec.Encode(header.RequestId, FrameType.Pong));
                break;
            case FrameType.ProveHost:
                Answer(FrameCodec.Encode(header.RequestId, ProveHost(FrameCodec.Decode<ProveHostMessage>(payload))));
                break;
            case FrameType.ConnectQueues:
                BeginConnect(header.RequestId, FrameCodec.Decode<ConnectQueuesMessage>(payload));
                break;
            default:
                throw FrameCodec.Violation($"{header.Type} has no place on a lease lane");
        }
    }

    private void BeginLocate(uint id, LocateMessage wanted)
    {
        var given = CancellationTokenSource.CreateLinkedTokenSource(_ended.Token);
        if (!_locates.TryAdd(id, new OpenLocate(given, context.Time.GetTimestamp())))
        {
            given.Dispose();
            throw FrameCodec.Violation($"request {id} is made while it is open");
        }

        _requests.Start(async () =>
        {
            byte[] answer;
            try
            {
                answer = await _grants.LocateAsync(id, wanted, given.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                answer = FrameCodec.Encode(id, FrameType.Cancelled);
            }
            catch (Exception unexpected)
            {
                answer = FrameCodec.Encode(id, new LocateRefusedMessage(Unexpected(FrameType.Locate, unexpected)));
            }

            _locates.TryRemove(id, out _);
            given.Dispose();
            Answer(answer);
        });
    }

    /// <summary>A request that is answered meanwhile is not cancelled any more: the peer gives the lease back.</summary>
    private void Cancel(uint id)
    {
        if (_locates.TryGetValue(id, out var open))
        {
            try
            {
                open.Given.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // Answered just now.
            }
        }
    }

    private HostProofMessage ProveHost(ProveHostMessage asked) => context.Store.Arena is { } arena
        ? new HostProofMessage(arena.Path, HostProof.Compute(arena.Nonce, asked.Challenge.Span, context.Store.NodeId))
        : new HostProofMessage("", default);

    private void BeginConnect(uint id, ConnectQueuesMessage theirs)
    {
        if (Interlocked.Exchange(ref _connecting, 1) != 0)
        {
            throw FrameCodec.Violation("queue pairs are to be connected while others are");
        }

        _requests.Start(async () =>
        {
            var answer = await ConnectAsync(id, theirs).ConfigureAwait(false);
            Volatile.Write(ref _connecting, 0);
            Answer(answer);
        });
    }

    private async Task<byte[]> ConnectAsync(uint id, ConnectQueuesMessage theirs)
    {
        if (context.Queues is not { } queues)
        {
            return FrameCodec.Encode(id, new QueuesRefusedMessage("this node has no RDMA"));
        }

        using var deadline = new CancellationTokenSource(WireLimits.ConnectQueuesTimeout, context.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _ended.Token);
        try
        {
            // Those before give their resources back first.
            await _grants.ReplaceQueuesAsync(null, "replaced").ConfigureAwait(false);
            var (answer, exporter) = await queues.ConnectAsync(theirs, connection.RemoteAddress, either.Token).ConfigureAwait(false);
            await _grants.ReplaceQueuesAsync(exporter, "replaced").ConfigureAwait(false);
            return FrameCodec.Encode(id, answer);
        }
        catch (TransferException e)
        {
            return FrameCodec.Encode(id, new QueuesRefusedMessage(e.Message));
        }
        catch (OperationCanceledException)
        {
            return FrameCodec.Encode(id, new QueuesRefusedMessage($"no queue pairs within {WireLimits.ConnectQueuesTimeout.TotalSeconds} s"));
        }
        catch (Exception unexpected)
        {
            return FrameCodec.Encode(id, new QueuesRefusedMessage(Unexpected(FrameType.ConnectQueues, unexpected)));
        }
    }

    /// <summary>A request that fails as it never should is answered all the same, and the lane goes on: the peer takes another path, and a person reads the log.</summary>
    private string Unexpected(FrameType request, Exception failure)
    {
        context.Log.LeaseRequestFailed(request, connection.Remote, failure);
        return $"{request} failed at the peer: {failure.Message}";
    }

    private void Answer(byte[] frame) => _outgoing.Writer.TryWrite((frame, true));

    /// <summary>Shows callers whose Locates take long that this node is at it. One that is answered at the same moment gets this after the answer, and passes it over.</summary>
    private void TellLocating()
    {
        foreach (var (id, open) in _locates)
        {
            var waited = context.Time.GetElapsedTime(open.Begun);
            if (waited >= WireLimits.LocatingDelay && waited < WireLimits.LocatingTime)
            {
                _outgoing.Writer.TryWrite((FrameCodec.Encode(id, FrameType.Locating), false));
            }
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        while (await _outgoing.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            while (_outgoing.Reader.TryRead(out var next))
            {
                if (next.IsAnswer)
                {
                    // Counted down before the peer can see the answer and ask again.
                    Interlocked.Decrement(ref _unanswered);
                }

                await connection.SendAsync(next.Frame, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Ends leases as they run out, and tells of Locates that take long, until the connection has ended and none is left, or the node stops.</summary>
    private async Task SweepAsync(CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(SweepInterval, context.Time);
        try
        {
            while (!_ended.IsCancellationRequested || _grants.Count > 0)
            {
                await timer.WaitForNextTickAsync(cancellationToken).ConfigureAwait(false);
                TellLocating();
                await _grants.EndExpiredAsync().ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
        }
    }

    /// <param name="Given">Cancelled when the caller gives the request up; disposed when it is answered.</param>
    /// <param name="Begun">Timestamp of its arrival.</param>
    private sealed record OpenLocate(CancellationTokenSource Given, long Begun);
}
