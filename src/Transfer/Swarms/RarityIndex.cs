namespace P2PWeights.Transfer.Swarms;

/// <summary>
/// The shards that are still to be asked for, by their rarity: a bitmap per rarity, so that a choice looks at 64 shards at a time. Among equals the choice is
/// random, so that nodes which start together ask for different shards.
/// </summary>
internal sealed class RarityIndex(int shards, Random random)
{
    private const int Absent = -1;

    private readonly List<Level> _levels = [];
    private readonly int[] _rarity = [.. Enumerable.Repeat(Absent, shards)];

    /// <summary>Shards in the index.</summary>
    public int Count { get; private set; }

    /// <summary>Rarities run from 0 to one less than this.</summary>
    public int Levels => _levels.Count;

    public bool Contains(int ordinal) => _rarity[ordinal] != Absent;

    public void Add(int ordinal, int rarity)
    {
        while (_levels.Count <= rarity)
        {
            _levels.Add(new Level(shards));
        }

        _levels[rarity].Shards[ordinal] = true;
        _levels[rarity].Count++;
        _rarity[ordinal] = rarity;
        Count++;
    }

    public void Remove(int ordinal)
    {
        var level = _levels[_rarity[ordinal]];
        level.Shards[ordinal] = false;
        level.Count--;
        _rarity[ordinal] = Absent;
        Count--;
    }

    /// <summary>A shard of this rarity that is in the one bitmap and, when given, not in the second; or -1.</summary>
    public int Pick(int rarity, ShardBitmap held, ShardBitmap? notIn = null)
    {
        if (rarity >= _levels.Count || _levels[rarity].Count == 0)
        {
            return Absent;
        }

        var words = _levels[rarity].Shards.Words;
        var start = random.Next(words.Length);
        for (var i = 0; i < words.Length; i++)
        {
            var w = start + i < words.Length ? start + i : start + i - words.Length;
            var fit = words[w] & held.Words[w] & ~(notIn?.Words[w] ?? 0);
            if (fit != 0)
            {
                return (w * ShardBitmap.WordBits) + ShardBitmap.RandomBit(fit, random);
            }
        }

        return Absent;
    }

    private sealed class Level(int shards)
    {
        public ShardBitmap Shards { get; } = new(shards);

        public int Count { get; set; }
    }
}
