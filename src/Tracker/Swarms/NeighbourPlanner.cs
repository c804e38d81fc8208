namespace P2PWeights.Tracker.Swarms;

/// <summary>A peer that could become a neighbour.</summary>
/// <param name="Index">Place in the caller's list.</param>
/// <param name="Nearness">0 elsewhere, 1 same zone, 2 same rack, 3 same host.</param>
/// <param name="Held">Shards of the manifest that it holds.</param>
internal readonly record struct NeighbourCandidate(int Index, int Nearness, int Held);

/// <summary>
/// Chooses whom a peer should talk to in a swarm: a quarter the nearest (their bytes cost the network least), up to half of the rest those that hold the most (they can
/// serve at once), and the others at random (so that the swarm stays one connected graph and new shards spread). Equals are drawn at random, so that
/// the same few peers are not everybody's neighbours; and the few that hold the most, like the publisher of a new checkpoint, become neighbours of a bounded
/// number of peers, however many there are: what they bring is passed on.
/// </summary>
internal static class NeighbourPlanner
{
    /// <summary>How many peers, as a multiple of each one's neighbours, are given one that holds the most.</summary>
    private const int SpreadTimes = 4;

    /// <summary>Indices of at most <paramref name="count"/> candidates; all of them when there are no more.</summary>
    public static List<int> Choose(ReadOnlySpan<NeighbourCandidate> candidates, int count, Random random)
    {
        var chosen = new List<int>(Math.Min(count, candidates.Length));
        if (candidates.Length <= count)
        {
            foreach (var candidate in candidates)
            {
                chosen.Add(candidate.Index);
            }

            return chosen;
        }

        var nearest = new Best(count / 4);
        foreach (var candidate in candidates)
        {
            if (candidate.Nearness > 0)
            {
                nearest.Offer(candidate.Nearness, random.Next(), candidate.Index);
            }
        }

        nearest.TakeInto(chosen);
        var (most, holders) = MostHeld(candidates);
        var complete = new Best(Places((count - chosen.Count) / 2, (double)holders * SpreadTimes * count / candidates.Length, random));
        foreach (var candidate in candidates)
        {
            if (most > 0 && candidate.Held == most && !chosen.Contains(candidate.Index))
            {
                complete.Offer(0, random.Next(), candidate.Index);
            }
        }

        complete.TakeInto(chosen);
        var others = new Best(count - chosen.Count);
        foreach (var candidate in candidates)
        {
            if (!chosen.Contains(candidate.Index))
            {
                others.Offer(0, random.Next(), candidate.Index);
            }
        }

        others.TakeInto(chosen);
        return chosen;
    }

    private static (int Held, int Holders) MostHeld(ReadOnlySpan<NeighbourCandidate> candidates)
    {
        var (most, holders) = (0, 0);
        foreach (var candidate in candidates)
        {
            if (candidate.Held > most)
            {
                (most, holders) = (candidate.Held, 0);
            }

            holders += candidate.Held == most ? 1 : 0;
        }

        return (most, holders);
    }

    /// <summary>A whole number that is the expected one on average, and at most so many.</summary>
    private static int Places(int most, double expected, Random random) =>
        expected >= most ? most : (int)expected + (random.NextDouble() < expected - Math.Floor(expected) ? 1 : 0);

    /// <summary>The few best of many, by score and then by lot, best first. Cheap as long as there are few: most offers fail at the first comparison.</summary>
    private sealed class Best(int capacity)
    {
        private readonly List<(int Score, int Lot, int Index)> _best = new(capacity + 1);

        public void Offer(int score, int lot, int index)
        {
            if (_best.Count == capacity && (capacity == 0 || (score, lot).CompareTo((_best[^1].Score, _best[^1].Lot)) <= 0))
            {
                return;
            }

            var place = _best.Count;
            while (place > 0 && (score, lot).CompareTo((_best[place - 1].Score, _best[place - 1].Lot)) > 0)
            {
                place--;
            }

            _best.Insert(place, (score, lot, index));
            if (_best.Count > capacity)
            {
                _best.RemoveAt(capacity);
            }
        }

        public void TakeInto(List<int> chosen)
        {
            foreach (var (_, _, index) in _best)
            {
                chosen.Add(index);
            }
        }
    }
}
