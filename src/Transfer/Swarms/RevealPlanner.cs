using System.Runtime.InteropServices;

namespace P2PWeights.Transfer.Swarms;

/// <summary>
/// Decides what a publisher tells each subscriber that it holds, so that it sends every shard once before any twice: a shard is revealed to one subscriber that wants it, who
/// passes it on. When each was sent once, all is revealed to all; and so it is when the publisher stands idle though shards are revealed, as then its subscribers want others
/// than it can know of. A subscriber alone is told everything. When the last one is gone, it begins anew.
/// Pure: told what happened and what time it is. Not thread-safe.
/// </summary>
/// <param name="held">What the publisher holds; taken over.</param>
/// <param name="ahead">Shards revealed and not yet sent, over all subscribers: what keeps the publisher busy until its next news have arrived.</param>
internal sealed class RevealPlanner(ShardBitmap held, int ahead, Random random)
{
    private static readonly TimeSpan IdleTime = TimeSpan.FromSeconds(1);

    /// <summary>A reveal that this many times <c>ahead</c> others overtook is not waited for any more.</summary>
    private const int OvertakenTimes = 4;

    /// <summary>Reveals that a subscriber keeps however many there are.</summary>
    private const int LeastPart = 2;

    private readonly List<RevealedTo> _subscribers = [];
    private readonly List<Reveal> _revealed = [];

    /// <summary>Held, not sent since it began, and revealed to nobody who may still ask for it.</summary>
    private ShardBitmap _hidden = held.Clone();

    private ShardBitmap _sent = new(held.Length);
    private long _begun;
    private int _sending;
    private TimeSpan _lastSent;

    /// <summary>How many shards to reveal ahead: 64, and at least a quarter of a gigabyte, so that a fast card is busy from one Have to the next.</summary>
    /// <param name="shardBytes">Size of the largest shard.</param>
    public static int AheadOf(int shardBytes)
    {
        const int LeastShards = 64;
        const int LeastBytes = 256 << 20;
        return Math.Max(LeastShards, LeastBytes / Math.Max(1, shardBytes));
    }

    /// <summary>Everything is revealed to everybody.</summary>
    public bool IsOver { get; private set; }

    /// <summary>A peer subscribed.</summary>
    /// <param name="wanted">What it does not hold; of the swarm's length.</param>
    public RevealedTo Add(ShardBitmap wanted, TimeSpan now)
    {
        if (_subscribers.Count == 0)
        {
            (_hidden, _sent, IsOver) = (held.Clone(), new ShardBitmap(held.Length), false);
            _revealed.Clear();
        }

        var subscriber = new RevealedTo(wanted) { HasNews = true };
        _subscribers.Add(subscriber);
        _lastSent = now;
        TellAll(_subscribers.Count == 2);
        ShareWith();
        Update(now);
        return subscriber;
    }

    /// <summary>A subscriber is gone: what it was to pass on is another's now.</summary>
    public void Remove(RevealedTo subscriber, TimeSpan now)
    {
        _subscribers.Remove(subscriber);
        subscriber.IsGone = true;
        TellAll(_subscribers.Count == 1);
        Update(now);
    }

    /// <summary>The publisher gained or lost a shard.</summary>
    public void SetHeld(int ordinal, bool isHeld)
    {
        held[ordinal] = isHeld;
        _hidden[ordinal] = isHeld && !_sent[ordinal];
        TellAll(true);
    }

    /// <summary>A shard begins to be sent, to whomever.</summary>
    public void Begin(int ordinal, TimeSpan now)
    {
        _sending++;
        _begun++;
        _lastSent = now;
        _sent[ordinal] = true;
        _hidden[ordinal] = false;
        Update(now);
    }

    /// <summary>A shard was sent, or could not be.</summary>
    public void End(TimeSpan now)
    {
        // One that began before this node published is not counted.
        _sending = Math.Max(0, _sending - 1);
        _lastSent = now;
    }

    /// <summary>Reveals what there is to reveal now. Called by itself after each change, and to be called now and then, as an idle publisher hears of nothing.</summary>
    public void Update(TimeSpan now)
    {
        if (IsOver)
        {
            return;
        }

        if (_subscribers.Count < 2)
        {
            return;
        }

        Settle();
        while (_revealed.Count < ahead && RevealNext())
        {
        }

        if (_revealed.Count == 0 || (_sending == 0 && now - _lastSent > IdleTime))
        {
            IsOver = true;
            TellAll(true);
        }
    }

    /// <summary>What this subscriber is to be told now; takes note that it was.</summary>
    public ShardBitmap Tell(RevealedTo subscriber)
    {
        subscriber.HasNews = false;
        return IsOver || _subscribers.Count == 1 ? held.Clone() : held.And(subscriber.Revealed);
    }

    private void TellAll(bool news)
    {
        foreach (var subscriber in _subscribers)
        {
            subscriber.HasNews |= news;
        }
    }

    /// <summary>
    /// Takes the newest reveals back from those that have more than their part now that one more has come: else the first few subscribers would be all that the publisher serves for a while.
    /// </summary>
    private void ShareWith()
    {
        var part = Math.Max(LeastPart, ahead / _subscribers.Count);
        for (var i = _revealed.Count - 1; i >= 0; i--)
        {
            var (ordinal, to, _) = _revealed[i];
            if (to.Outstanding > part && !_sent[ordinal])
            {
                _revealed.RemoveAt(i);
                to.Revealed[ordinal] = false;
                to.HasNews = true;
                to.Outstanding--;
                _hidden[ordinal] = held[ordinal];
            }
        }
    }

    /// <summary>Takes out the reveals that are done with: sent, lost, or not to be expected any more, which are hidden again.</summary>
    private void Settle()
    {
        var kept = 0;
        foreach (var reveal in _revealed)
        {
            var isOvertaken = _begun - reveal.Begun > (long)OvertakenTimes * ahead;
            if (!_sent[reveal.Ordinal] && held[reveal.Ordinal] && !reveal.To.IsGone && !isOvertaken)
            {
                CollectionsMarshal.AsSpan(_revealed)[kept++] = reveal;
                continue;
            }

            reveal.To.Outstanding--;
            _hidden[reveal.Ordinal] = held[reveal.Ordinal] && !_sent[reveal.Ordinal];
        }

        _revealed.RemoveRange(kept, _revealed.Count - kept);
    }

    /// <summary>Reveals a random shard to the subscriber that was given the fewest; false when nobody wants any of those hidden.</summary>
    private bool RevealNext()
    {
        RevealedTo? best = null;
        var ordinal = -1;
        var ties = 0;
        foreach (var subscriber in _subscribers)
        {
            var order = best is null ? -1 : (subscriber.Outstanding, subscriber.Total).CompareTo((best.Outstanding, best.Total));
            if (order > 0 || (order == 0 && random.Next(++ties + 1) != 0))
            {
                continue;
            }

            if (_hidden.Pick(subscriber.Wanted, random) is var pick and >= 0)
            {
                (best, ordinal, ties) = (subscriber, pick, order == 0 ? ties : 0);
            }
        }

        if (best is null)
        {
            return false;
        }

        _hidden[ordinal] = false;
        best.Revealed[ordinal] = true;
        best.HasNews = true;
        best.Outstanding++;
        best.Total++;
        _revealed.Add(new Reveal(ordinal, best, _begun));
        return true;
    }

    /// <param name="Begun">Shards that had been sent when it was revealed.</param>
    private readonly record struct Reveal(int Ordinal, RevealedTo To, long Begun);
}

/// <summary>A subscriber as a <see cref="RevealPlanner"/> sees it, and changes it.</summary>
/// <param name="wanted">What it did not hold when it subscribed.</param>
internal sealed class RevealedTo(ShardBitmap wanted)
{
    public ShardBitmap Wanted => wanted;

    /// <summary>What was revealed to it.</summary>
    public ShardBitmap Revealed { get; } = new(wanted.Length);

    /// <summary>Revealed to it, and not sent yet.</summary>
    public int Outstanding { get; set; }

    /// <summary>Revealed to it since it came.</summary>
    public int Total { get; set; }

    /// <summary>There is something to tell it.</summary>
    public bool HasNews { get; set; }

    public bool IsGone { get; set; }
}
