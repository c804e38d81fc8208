namespace P2PWeights.Tracker.Catalog;

/// <summary>Finds what somebody may have meant by a name that does not exist. Pure.</summary>
internal static class ClosestNames
{
    /// <summary>Names in one answer.</summary>
    public const int Count = 5;

    /// <summary>
    /// Candidates nearest to <paramref name="wanted"/> by edit distance, best first, at most <see cref="Count"/>. Those that would need more than half of
    /// the wanted text changed are no help and left out, unless one contains the other.
    /// </summary>
    public static IEnumerable<string> To(string wanted, IEnumerable<string> candidates) => candidates
        .Distinct(StringComparer.Ordinal)
        .Select(candidate => (Candidate: candidate, Distance: Distance(wanted, candidate)))
        .Where(found => found.Distance <= Math.Max(2, wanted.Length / 2) || Contains(wanted, found.Candidate))
        .OrderBy(found => found.Distance)
        .ThenBy(found => found.Candidate, StringComparer.Ordinal)
        .Take(Count)
        .Select(found => found.Candidate);

    /// <summary>Levenshtein distance without regard to case: characters inserted, removed or replaced to turn one text into the other.</summary>
    internal static int Distance(string left, string right)
    {
        var row = new int[right.Length + 1];
        for (var j = 0; j <= right.Length; j++)
        {
            row[j] = j;
        }

        for (var i = 1; i <= left.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= right.Length; j++)
            {
                var replaced = diagonal + (char.ToLowerInvariant(left[i - 1]) == char.ToLowerInvariant(right[j - 1]) ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, 1 + Math.Min(row[j], row[j - 1]));
            }
        }

        return row[right.Length];
    }

    private static bool Contains(string wanted, string candidate)
    {
        var name = wanted.Split('@')[0];
        return candidate.Contains(name, StringComparison.OrdinalIgnoreCase);
    }
}
