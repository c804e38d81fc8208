using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>The shards that are still to be asked for, by the number of sources that hold them. Within one rarity their order is random, so that nodes which start together ask for different shards.</summary>
internal sealed class RarityIndex(int shards, Random random)
{
    private readonly List<List<int>> _byRarity = [];
    private readonly int[] _position = [.. Enumerable.Repeat(-1, shards)];
    private readonly int[] _rarity = new int[shards];

    /// <summary>Shards in the index.</summary>
    public int Count { get; private set; }

    public bool Contains(int ordinal) => _position[ordinal] >= 0;

    public void Add(int ordinal, int rarity)
    {
        while (_byRarity.Count <= rarity)
        {
            _byRarity.Add([]);
        }

        var shards = _byRarity[rarity];
        shards.Add(ordinal);
        (_position[ordinal], _rarity[ordinal]) = (shards.Count - 1, rarity);
        Swap(shards, shards.Count - 1, random.Next(shards.Count));
        Count++;
    }

    public void Remove(int ordinal)
    {
        var shards = _byRarity[_rarity[ordinal]];
        Swap(shards, _position[ordinal], shards.Count - 1);
        shards.RemoveAt(shards.Count - 1);
        _position[ordinal] = -1;
        Count--;
    }

    /// <summary>The rarest shard of the index that a source holds, or -1. Without shards that nobody holds.</summary>
    public int Rarest(ShardBitmap held)
    {
        for (var rarity = 1; rarity < _byRarity.Count; rarity++)
        {
            foreach (var ordinal in _byRarity[rarity])
            {
                if (held[ordinal])
                {
                    return ordinal;
                }
            }
        }

        return -1;
    }

    private void Swap(List<int> shards, int i, int j)
    {
        (shards[i], shards[j]) = (shards[j], shards[i]);
        _position[shards[i]] = i;
        _position[shards[j]] = j;
    }
}
