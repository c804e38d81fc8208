using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Swarms;

/// <summary>
/// Lets the shards of a pull in, in their order, as far ahead of what is verified as is allowed: what is needed first comes first. Part of the <see cref="PullPlanner"/>.
/// </summary>
/// <param name="shards">The manifest's shard table.</param>
internal sealed class LookAhead(ImmutableArray<ShardInfo> shards)
{
    private readonly Queue<int> _order = new();
    private readonly ShardBitmap _later = new(shards.Length);
    private long _admitted;

    /// <summary>Whether every shard was let in.</summary>
    public bool IsOver => _order.Count == 0;

    /// <summary>Whether any of these is wanted and not let in yet.</summary>
    /// <param name="notIn">Those do not count; null for none.</param>
    public bool HasLater(ShardBitmap held, ShardBitmap? notIn) => _later.Overlaps(held, notIn);

    /// <summary>A shard is wanted behind those before.</summary>
    public void Add(int ordinal)
    {
        _order.Enqueue(ordinal);
        _later[ordinal] = true;
    }

    /// <summary>A shard comes in some other way, and counts as let in.</summary>
    public void LetIn(int ordinal)
    {
        if (_later[ordinal])
        {
            _later[ordinal] = false;
            _admitted += shards[ordinal].Size;
        }
    }

    /// <summary>A wanted shard is verified.</summary>
    public void Done(int ordinal)
    {
        if (_later[ordinal])
        {
            _later[ordinal] = false;
        }
        else
        {
            _admitted -= shards[ordinal].Size;
        }
    }

    /// <summary>Lets the next shard in; -1 when none may be, for now.</summary>
    /// <param name="most">Bytes let in and not verified, from which on none may.</param>
    public int Next(long most)
    {
        while (_order.TryPeek(out var next) && (!_later[next] || _admitted < most))
        {
            _order.Dequeue();
            if (_later[next])
            {
                LetIn(next);
                return next;
            }
        }

        return -1;
    }
}
