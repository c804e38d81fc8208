using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Sim;

/// <summary>A node's serving side: the product's upload slots, what it tells its subscribers, and, of a publisher, the product's plan of what to reveal to whom.</summary>
internal sealed class SimServer(SimNode node, Simulation simulation) : IActor
{
    /// <summary>How often an idle publisher looks at what it reveals.</summary>
    private static readonly TimeSpan RevealInterval = TimeSpan.FromMilliseconds(500);

    private static readonly long HaveDelay = Simulation.Nanoseconds(WireLimits.HaveDelay);

    private readonly EventQueue _events = simulation.Events;
    private RevealPlanner? _reveal;
    private long _toldAt = -HaveDelay;
    private long _tellsAt = -1;

    public UploadSlots Slots { get; } = new(simulation.Options.UploadSlots);

    /// <summary>The sessions of those that pull from it.</summary>
    public List<SimLink> Subscribers { get; } = [];

    /// <summary>It published what it holds.</summary>
    public void Publish(int ahead) => _reveal = new RevealPlanner(node.Held.Clone(), ahead, new Random(simulation.Random.Next()));

    /// <summary>A puller subscribed.</summary>
    public void Welcome(SimLink link)
    {
        Subscribers.Add(link);
        if (_reveal is null)
        {
            new HaveNews([link], node.Held.Clone()).ArriveAt(_events, _events.Now + (2 * simulation.Latency));
            return;
        }

        var wanted = new ShardBitmap(node.Held.Length);
        for (var ordinal = 0; ordinal < wanted.Length; ordinal++)
        {
            wanted[ordinal] = !link.Consumer.Held[ordinal];
        }

        link.Revealed = _reveal.Add(wanted, Now);
        TellSoon();
    }

    /// <summary>A puller is gone.</summary>
    public void Left(SimLink link)
    {
        Subscribers.Remove(link);
        if (link.Revealed is { } revealed)
        {
            _reveal!.Remove(revealed, Now);
            TellSoon();
        }
    }

    /// <summary>A shard begins to be sent.</summary>
    public void Begins(int ordinal)
    {
        if (_reveal is not null)
        {
            _reveal.Begin(ordinal, Now);
            TellSoon();
        }
    }

    /// <summary>A shard was sent, or its session broke.</summary>
    public void Sent(Guid peer)
    {
        _reveal?.End(Now);
        Slots.Release(peer);
    }

    /// <summary>Subscribers are told at once, or as soon as the last news are <see cref="WireLimits.HaveDelay"/> old.</summary>
    public void TellSoon()
    {
        if (Subscribers.Count > 0)
        {
            TellAt(Math.Max(_events.Now, _toldAt + HaveDelay));
        }
    }

    public void On(int kind)
    {
        // One that was put forward finds that it was told already.
        if (_events.Now != _tellsAt || !node.IsAlive)
        {
            return;
        }

        (_toldAt, _tellsAt) = (_events.Now, -1);
        if (_reveal is null)
        {
            new HaveNews([.. Subscribers], node.Held.Clone()).ArriveAt(_events, _events.Now + simulation.Latency);
            return;
        }

        _reveal.Update(Now);
        foreach (var link in Subscribers)
        {
            if (link.Revealed!.HasNews)
            {
                new HaveNews([link], _reveal.Tell(link.Revealed)).ArriveAt(_events, _events.Now + simulation.Latency);
            }
        }

        if (Subscribers.Count > 0 && !_reveal.IsOver)
        {
            TellAt(_events.Now + Simulation.Nanoseconds(RevealInterval));
        }
    }

    private TimeSpan Now => Simulation.Span(_events.Now);

    private void TellAt(long at)
    {
        if (_tellsAt < 0 || at < _tellsAt)
        {
            _tellsAt = at;
            _events.Add(at, this, 0);
        }
    }

    /// <summary>A Bitmap or Have on its way.</summary>
    private sealed class HaveNews(SimLink[] links, ShardBitmap held) : IActor
    {
        public void ArriveAt(EventQueue events, long at) => events.Add(at, this, 0);

        public void On(int kind)
        {
            foreach (var link in links)
            {
                if (link.IsUp)
                {
                    link.Consumer.Puller!.OnHave(link, held);
                }
            }
        }
    }
}
