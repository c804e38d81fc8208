using System.Collections.Immutable;
using System.Threading.Channels;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Listener's side of one control lane: answers pings, and tells the peer what this node holds of the swarms it subscribed to. What is sent is always the
/// difference between the bitmap now and the bitmap the peer was told last, so a burst of changes costs one frame and nothing queues up for a slow reader.
/// </summary>
internal sealed class SubscriberLane(FrameConnection connection, Guid peer, ServingContext context)
{
    /// <summary>How often what this node reveals is looked at without news: nothing happens on an idle publisher.</summary>
    private static readonly TimeSpan RevealInterval = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private readonly Dictionary<Digest, Subscription> _subscriptions = [];
    private readonly Channel<byte> _wake = Channel.CreateBounded<byte>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Queue<uint> _pings = new();

    /// <summary>Serves until the connection ends.</summary>
    /// <exception cref="IOException">The connection ended.</exception>
    /// <exception cref="TransferException">The peer broke the protocol.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        context.Swarms.MembershipChanged += Wake;
        using var timer = context.Time.CreateTimer(_ => WakeToReveal(), null, RevealInterval, RevealInterval);
        try
        {
            await connection.RunAsync(ReadAsync, SendAsync, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            context.Swarms.MembershipChanged -= Wake;
            foreach (var subscription in _subscriptions.Values)
            {
                subscription.Follow(null, Wake);
            }
        }
    }

    private void WakeToReveal()
    {
        lock (_gate)
        {
            if (!_subscriptions.Values.Any(subscription => subscription.IsRevealing))
            {
                return;
            }
        }

        Wake();
    }

    private void Wake() => _wake.Writer.TryWrite(0);

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var header = await connection.ReadHeaderAsync(cancellationToken).ConfigureAwait(false);
            if (header.Type is not (FrameType.Subscribe or FrameType.Unsubscribe or FrameType.Ping))
            {
                throw FrameCodec.Violation($"{header.Type} has no place on a caller's control lane");
            }

            var payload = await connection.ReadControlAsync(header, cancellationToken).ConfigureAwait(false);
            lock (_gate)
            {
                Take(header, payload);
            }

            Wake();
        }
    }

    private void Take(FrameHeader header, ReadOnlyMemory<byte> payload)
    {
        switch (header.Type)
        {
            case FrameType.Subscribe:
                // Told anew from the start, also when the peer subscribes a second time.
                var (manifest, held) = FrameCodec.Decode<SubscribeMessage>(payload);
                End(manifest);
                if (_subscriptions.Count >= WireLimits.MaxSubscriptions)
                {
                    throw FrameCodec.Violation($"more than {WireLimits.MaxSubscriptions} swarms are subscribed to on one lane");
                }

                // A bitmap that fits no swarm of this node is not kept.
                var isKnown = context.Swarms.Find(manifest)?.Manifest.Shards.Length == held.Length;
                _subscriptions.Add(manifest, new Subscription(isKnown ? held : ShardBitmap.Empty));
                context.Swarms.NoteSubscriber(manifest, peer);
                break;
            case FrameType.Unsubscribe:
                End(FrameCodec.Decode<UnsubscribeMessage>(payload).Manifest);
                break;
            case FrameType.Ping when _pings.Count < WireLimits.MaxSubscriptions:
                _pings.Enqueue(header.RequestId);
                break;
            default:
                throw FrameCodec.Violation($"more than {WireLimits.MaxSubscriptions} pings wait for an answer");
        }
    }

    private void End(Digest manifest)
    {
        if (_subscriptions.Remove(manifest, out var ended))
        {
            ended.Follow(null, Wake);
        }
    }

    private async Task SendAsync(CancellationToken cancellationToken)
    {
        while (await _wake.Reader.WaitToReadAsync(cancellationToken).ConfigureAwait(false))
        {
            _wake.Reader.TryRead(out _);
            var frames = Collect();
            foreach (var frame in frames)
            {
                await connection.SendAsync(frame, cancellationToken).ConfigureAwait(false);
            }

            if (frames.Count > 0)
            {
                await Task.Delay(WireLimits.HaveDelay, context.Time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>The frames that bring the peer up to date.</summary>
    private List<byte[]> Collect()
    {
        var frames = new List<byte[]>();
        lock (_gate)
        {
            while (_pings.TryDequeue(out var ping))
            {
                frames.Add(FrameCodec.Encode(ping, FrameType.Pong));
            }

            foreach (var (manifest, subscription) in _subscriptions)
            {
                subscription.Follow(context.Swarms.Find(manifest), Wake);
                subscription.Collect(manifest, frames, Wake);
            }
        }

        return frames;
    }

    /// <summary>One swarm that the peer subscribed to, joined here or not (yet).</summary>
    /// <param name="itsHeld">What the peer held of it when it subscribed.</param>
    private sealed class Subscription(ShardBitmap itsHeld)
    {
        private Swarm? _swarm;
        private SwarmReveal? _reveal;
        private RevealedTo? _revealed;
        private ShardBitmap? _told;

        /// <summary>This node published the manifest, and may not tell the peer everything.</summary>
        public bool IsRevealing => _revealed is not null;

        /// <summary>Listens to this swarm from now on; a swarm that came or went is told from the start.</summary>
        public void Follow(Swarm? swarm, Action wake)
        {
            if (ReferenceEquals(swarm, _swarm))
            {
                return;
            }

            if (_swarm is not null)
            {
                _swarm.HeldChanged -= wake;
            }

            if (_revealed is not null)
            {
                _reveal!.Remove(_revealed);
            }

            _swarm = swarm;
            (_reveal, _revealed, _told) = (null, null, null);
            if (swarm is not null)
            {
                swarm.HeldChanged += wake;
            }
        }

        public void Collect(Digest manifest, List<byte[]> frames, Action wake)
        {
            if (_revealed is null && _swarm?.Reveal is { } reveal)
            {
                (_reveal, _revealed, _told) = (reveal, reveal.Add(itsHeld, wake), null);
            }

            var held = _revealed is not null ? _reveal!.Tell(_revealed) : _swarm?.Held() ?? ShardBitmap.Empty;
            if (_told is null)
            {
                frames.Add(FrameCodec.Encode(0, new BitmapMessage(manifest, held, IsRevealing)));
            }
            else
            {
                var gained = ImmutableArray.CreateBuilder<int>();
                var lost = ImmutableArray.CreateBuilder<int>();
                held.VisitChanges(_told, (ordinal, set) => (set ? gained : lost).Add(ordinal));
                if (gained.Count + lost.Count > WireLimits.MaxHaveOrdinals)
                {
                    frames.Add(FrameCodec.Encode(0, new BitmapMessage(manifest, held, IsRevealing)));
                }
                else if (gained.Count + lost.Count > 0)
                {
                    frames.Add(FrameCodec.Encode(0, new HaveMessage(manifest, gained.ToImmutable(), lost.ToImmutable())));
                }
            }

            _told = held;
        }
    }
}
