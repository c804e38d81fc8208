namespace P2PWeights.Transfer.Swarms;

/// <summary>What a publisher reveals of one swarm to whom: carries out what <see cref="RevealPlanner"/> decides, for the lanes that tell and the lanes that send. Thread-safe.</summary>
internal sealed class SwarmReveal(ShardBitmap held, int ahead, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly long _started = time.GetTimestamp();
    private readonly RevealPlanner _planner = new(held.Clone(), ahead, new Random());
    private readonly Dictionary<RevealedTo, Action> _subscribers = [];

    private TimeSpan Now => time.GetElapsedTime(_started);

    /// <summary>A peer subscribed.</summary>
    /// <param name="itsHeld">What it holds; of another length when it does not know the swarm.</param>
    /// <param name="wake">Called when there is something to tell it; must not block.</param>
    public RevealedTo Add(ShardBitmap itsHeld, Action wake)
    {
        lock (_gate)
        {
            var wanted = new ShardBitmap(held.Length);
            for (var ordinal = 0; ordinal < held.Length; ordinal++)
            {
                wanted[ordinal] = !itsHeld[ordinal];
            }

            var subscriber = _planner.Add(wanted, Now);
            _subscribers.Add(subscriber, wake);
            WakeUp();
            return subscriber;
        }
    }

    /// <summary>The peer is gone.</summary>
    public void Remove(RevealedTo subscriber)
    {
        lock (_gate)
        {
            _subscribers.Remove(subscriber);
            _planner.Remove(subscriber, Now);
            WakeUp();
        }
    }

    /// <summary>What the peer is told now.</summary>
    public ShardBitmap Tell(RevealedTo subscriber)
    {
        lock (_gate)
        {
            _planner.Update(Now);
            WakeUp(subscriber);
            return _planner.Tell(subscriber);
        }
    }

    /// <summary>This node gained or lost a shard.</summary>
    public void SetHeld(int ordinal, bool isHeld)
    {
        lock (_gate)
        {
            _planner.SetHeld(ordinal, isHeld);
            WakeUp();
        }
    }

    /// <summary>A shard begins to be sent.</summary>
    public void Begin(int ordinal)
    {
        lock (_gate)
        {
            _planner.Begin(ordinal, Now);
            WakeUp();
        }
    }

    /// <summary>A shard was sent, or could not be.</summary>
    public void End()
    {
        lock (_gate)
        {
            _planner.End(Now);
        }
    }

    private void WakeUp(RevealedTo? asking = null)
    {
        foreach (var (subscriber, wake) in _subscribers)
        {
            if (subscriber.HasNews && subscriber != asking)
            {
                wake();
            }
        }
    }
}
