using System.Numerics;
using P2PWeights.Store.Content;

namespace P2PWeights.Tracker.Swarms;

/// <summary>
/// Gives each shard that somebody holds or some swarm wants a small number, its global ordinal, so that who holds what is a bitmap per peer.
/// A number whose last replica and last swarm are gone is given out again, the lowest first: numbers stay dense and memory follows what is in use.
/// The shards of a manifest that is new to the table get neighbouring numbers, which is what makes copying its bits cheap.
/// </summary>
internal sealed class OrdinalTable
{
    private readonly Dictionary<Digest, int> _byDigest = [];
    private readonly Bitmap _used = new();
    private Digest[] _digests = [];
    private int[] _replicas = [];
    private int[] _swarms = [];
    private int _searchFrom;

    /// <summary>Shards with at least one live replica, by global ordinal.</summary>
    public Bitmap Live { get; } = new();

    /// <summary>Shards with two live replicas or more, by global ordinal: one peer that goes takes none of them along.</summary>
    public Bitmap Safe { get; } = new();

    /// <summary>Ordinals in use.</summary>
    public int Count => _used.Count;

    /// <summary>The ordinal of a shard; -1 when it has none.</summary>
    public int Find(Digest shard) => _byDigest.TryGetValue(shard, out var ordinal) ? ordinal : -1;

    /// <summary>Whether a live peer holds the shard.</summary>
    public bool IsLive(Digest shard) => Find(shard) is >= 0 and var ordinal && Live.Contains(ordinal);

    /// <summary>Counts one more swarm that wants the shard, which gets an ordinal if it has none.</summary>
    public int AddSwarm(Digest shard)
    {
        var ordinal = FindOrTake(shard);
        _swarms[ordinal]++;
        return ordinal;
    }

    /// <summary>Takes back one <see cref="AddSwarm"/>.</summary>
    public void RemoveSwarm(int ordinal)
    {
        _swarms[ordinal]--;
        FreeIfUnused(ordinal);
    }

    /// <summary>Counts one more replica of the shard in a peer's bitmap, unless it is there already.</summary>
    public void AddReplica(Digest shard, Bitmap held)
    {
        var ordinal = FindOrTake(shard);
        if (held.Add(ordinal))
        {
            CountUp(ordinal);
        }
    }

    /// <summary>Takes one replica of the shard out of a peer's bitmap, if it is there.</summary>
    public void RemoveReplica(Digest shard, Bitmap held)
    {
        var ordinal = Find(shard);
        if (ordinal >= 0 && held.Remove(ordinal))
        {
            CountDown(ordinal);
            FreeIfUnused(ordinal);
        }
    }

    /// <summary>
    /// Makes the bits of a peer's bitmap from <paramref name="first"/> on, at most 64, what they are said to be, and counts what changed. The ordinals are those of a swarm, so that none goes unused.
    /// </summary>
    public void ReplaceReplicas(Bitmap held, int first, int count, ulong bits)
    {
        for (var changed = held.Replace(first, count, bits); changed != 0; changed &= changed - 1)
        {
            var bit = BitOperations.TrailingZeroCount(changed);
            if ((bits & (1UL << bit)) != 0)
            {
                CountUp(first + bit);
            }
            else
            {
                CountDown(first + bit);
            }
        }
    }

    /// <summary>Counts off every replica of a peer that is gone, or whose bitmap was replaced.</summary>
    public void RemoveReplicas(Bitmap held) => held.ForEach(ordinal =>
    {
        CountDown(ordinal);
        FreeIfUnused(ordinal);
    });

    private void CountUp(int ordinal)
    {
        switch (++_replicas[ordinal])
        {
            case 1:
                Live.Add(ordinal);
                break;
            case 2:
                Safe.Add(ordinal);
                break;
        }
    }

    private void CountDown(int ordinal)
    {
        switch (--_replicas[ordinal])
        {
            case 0:
                Live.Remove(ordinal);
                break;
            case 1:
                Safe.Remove(ordinal);
                break;
        }
    }

    private int FindOrTake(Digest shard)
    {
        if (_byDigest.TryGetValue(shard, out var known))
        {
            return known;
        }

        var ordinal = _used.LowestMissing(_searchFrom);
        if (ordinal >= _digests.Length)
        {
            Grow(ordinal + 1);
        }

        _searchFrom = ordinal + 1;
        _used.Add(ordinal);
        _digests[ordinal] = shard;
        _byDigest.Add(shard, ordinal);
        return ordinal;
    }

    private void FreeIfUnused(int ordinal)
    {
        if (_replicas[ordinal] == 0 && _swarms[ordinal] == 0)
        {
            _byDigest.Remove(_digests[ordinal]);
            _used.Remove(ordinal);
            _searchFrom = Math.Min(_searchFrom, ordinal);
        }
    }

    private void Grow(int needed)
    {
        var size = Math.Max(needed, Math.Max(1024, _digests.Length + (_digests.Length / 2)));
        Array.Resize(ref _digests, size);
        Array.Resize(ref _replicas, size);
        Array.Resize(ref _swarms, size);
    }
}
