using System.Threading.Channels;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer;

/// <summary>
/// An established, authenticated conversation with one peer: control messages, subscriptions, and what paths need to set themselves up. It lives until its
/// control lane ends; it does not reconnect, whoever needs the peer opens a new one.
/// </summary>
public sealed class PeerSession : IAsyncDisposable
{
    private readonly Dialler _dialler;
    private readonly OpenLane _control;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stop = new();
    private readonly Lock _swarmsGate = new();
    private readonly Dictionary<Digest, RemoteSwarm> _swarms = [];
    private readonly Channel<byte[]> _outgoing = Channel.CreateBounded<byte[]>(WireLimits.MaxSubscriptions);
    private readonly Task _running;
    private readonly Lock _leasesGate = new();
    private Task<LeaseSession>? _leases;

    private PeerSession(PeerInfo peer, OpenLane control, Dialler dialler, TimeProvider time)
    {
        Peer = peer;
        _control = control;
        _dialler = dialler;
        _time = time;
        _control.Connection.IdleTimeout = 3 * WireLimits.PingInterval;
        _running = RunAsync();
        Closed = _running.ContinueWith(
            ended => ended.Exception?.InnerException ?? new IOException($"the session with {Peer.Name} was closed"), TaskScheduler.Default);
    }

    /// <summary>Who is at the other end; its id was proved as far as the cluster key proves anything.</summary>
    public PeerInfo Peer { get; }

    /// <summary>
    /// Round trip to the peer as the kernel measured it on the control lane, without queues: times a source's rate it is what must be on the way for that source never to wait for us.
    /// Null while unknown. One system call.
    /// </summary>
    internal TimeSpan? RoundTrip => _control.Connection.RoundTrip;

    /// <summary>Ends with the reason when the session does. A <see cref="TransferException"/> means that the peer broke the protocol.</summary>
    internal Task<Exception> Closed { get; }

    /// <exception cref="TransferException">The peer answered, and one side refuses the other.</exception>
    /// <exception cref="IOException">The peer cannot be reached.</exception>
    internal static async Task<PeerSession> OpenAsync(PeerInfo peer, Dialler dialler, TimeProvider time, CancellationToken cancellationToken)
    {
        var control = await dialler.OpenAsync(peer, LaneKind.Control, cancellationToken).ConfigureAwait(false);
        return new PeerSession(peer, control, dialler, time);
    }

    /// <summary>Opens another connection to the same peer, for a path's payload.</summary>
    internal Task<OpenLane> OpenDataLaneAsync(CancellationToken cancellationToken) => _dialler.OpenAsync(Peer, LaneKind.Data, cancellationToken);

    /// <summary>The lane for leases: opened on the first call, shared by all paths, closed with the session unless somebody shares it beyond that; opened anew when it has ended.</summary>
    /// <exception cref="TransferException">One side refuses the other, or the peer knows no leases.</exception>
    /// <exception cref="IOException">The peer cannot be reached.</exception>
    internal async ValueTask<LeaseSession> LeasesAsync(CancellationToken cancellationToken)
    {
        Task<LeaseSession> opening;
        lock (_leasesGate)
        {
            ObjectDisposedException.ThrowIf(_stop.IsCancellationRequested, this);
            if (_leases is null or { IsFaulted: true } or { IsCanceled: true } || (_leases.IsCompletedSuccessfully && _leases.Result.Ended.IsCompleted))
            {
                _leases = OpenLeasesAsync(_leases, _stop.Token);
            }

            opening = _leases;
        }

        return await opening.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// What the peer holds of a swarm; asked for on the first call, kept up to date until every call was taken back by <see cref="Unsubscribe"/>. Empty until the peer answers.
    /// </summary>
    /// <param name="held">What this node holds of it now; of the swarm's length.</param>
    internal RemoteSwarm Subscribe(Digest manifest, ShardBitmap held)
    {
        lock (_swarmsGate)
        {
            if (!_swarms.TryGetValue(manifest, out var swarm))
            {
                swarm = new RemoteSwarm(manifest, held.Length);
                _swarms.Add(manifest, swarm);
                Tell(new SubscribeMessage(manifest, held));
            }

            swarm.Subscribers++;
            return swarm;
        }
    }

    /// <summary>Takes one <see cref="Subscribe"/> back. With the last one the peer is told, so that it reveals to others what it kept for this node.</summary>
    internal void Unsubscribe(RemoteSwarm swarm)
    {
        lock (_swarmsGate)
        {
            if (--swarm.Subscribers == 0)
            {
                _swarms.Remove(swarm.Manifest);
                Tell(new UnsubscribeMessage(swarm.Manifest));
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        Task<LeaseSession>? leases;
        lock (_leasesGate)
        {
            leases = _leases;
        }

        if (leases is not null)
        {
            await ((Task)leases).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await DisposeAsync(leases).ConfigureAwait(false);
        }

        // And whoever asks knows it from here on.
        await Closed.ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task<LeaseSession> OpenLeasesAsync(Task<LeaseSession>? before, CancellationToken cancellationToken)
    {
        await DisposeAsync(before).ConfigureAwait(false);
        var lane = await _dialler.OpenAsync(Peer, LaneKind.Lease, cancellationToken).ConfigureAwait(false);
        return new LeaseSession(lane, Peer.Name, Closed, WireLimits.LeaseRenewInterval, _time);
    }

    private static async ValueTask DisposeAsync(Task<LeaseSession>? opened)
    {
        if (opened is { IsCompletedSuccessfully: true })
        {
            await (await opened.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task RunAsync()
    {
        using (_control)
        {
            await _control.Connection.RunAsync(ReadAsync, SendAsync, _stop.Token).ConfigureAwait(false);
        }
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var header = await _control.Connection.ReadHeaderAsync(cancellationToken).ConfigureAwait(false);
            switch (header.Type)
            {
                case FrameType.Bitmap:
                    var bitmap = FrameCodec.Decode<BitmapMessage>(await ReadPayloadAsync(header, cancellationToken).ConfigureAwait(false));
                    Find(bitmap.Manifest)?.Take(bitmap);
                    break;
                case FrameType.Have:
                    var have = FrameCodec.Decode<HaveMessage>(await ReadPayloadAsync(header, cancellationToken).ConfigureAwait(false));
                    Find(have.Manifest)?.Take(have);
                    break;
                case FrameType.Pong:
                    break;
                default:
                    throw FrameCodec.Violation($"{Peer.Name} sends {header.Type} on a control lane");
            }
        }
    }

    private ValueTask<ReadOnlyMemory<byte>> ReadPayloadAsync(FrameHeader header, CancellationToken cancellationToken) =>
        _control.Connection.ReadControlAsync(header, cancellationToken);

    /// <summary>Null for a swarm that is not subscribed to: what the peer told of it may have been on its way when the subscription ended.</summary>
    private RemoteSwarm? Find(Digest manifest)
    {
        lock (_swarmsGate)
        {
            return _swarms.GetValueOrDefault(manifest);
        }
    }

    /// <summary>Hands a frame to the sending loop. Under the lock of the swarms, so that the peer hears of them in the order in which they came and went.</summary>
    private void Tell<T>(T message)
        where T : IFrameMessage<T>
    {
        if (!_outgoing.Writer.TryWrite(FrameCodec.Encode(0, message)))
        {
            _control.Connection.Abort("the peer takes no more subscriptions");
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        using var ping = new PeriodicTimer(WireLimits.PingInterval, _time);
        var tick = ping.WaitForNextTickAsync(cancellationToken).AsTask();
        var more = _outgoing.Reader.WaitToReadAsync(cancellationToken).AsTask();
        while (true)
        {
            var ready = await Task.WhenAny(tick, more).ConfigureAwait(false);
            await ready.ConfigureAwait(false);
            if (ready == tick)
            {
                await _control.Connection.SendAsync(FrameCodec.Encode(0, FrameType.Ping), cancellationToken).ConfigureAwait(false);
                tick = ping.WaitForNextTickAsync(cancellationToken).AsTask();
                continue;
            }

            while (_outgoing.Reader.TryRead(out var frame))
            {
                await _control.Connection.SendAsync(frame, cancellationToken).ConfigureAwait(false);
            }

            more = _outgoing.Reader.WaitToReadAsync(cancellationToken).AsTask();
        }
    }
}
