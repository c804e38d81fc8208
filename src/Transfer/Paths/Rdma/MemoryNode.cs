using System.Globalization;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>Finds out on which NUMA node memory lies, from <c>/proc/self/numa_maps</c> (numa(7)).</summary>
internal static class MemoryNode
{
    private const string Maps = "/proc/self/numa_maps";

    /// <summary>The node that has nine tenths of a mapping; null when it is spread, not touched yet, or the kernel does not say.</summary>
    /// <param name="address">Where the mapping starts.</param>
    public static int? Of(nint address)
    {
        try
        {
            var start = address.ToString("x", CultureInfo.InvariantCulture);
            return File.ReadLines(Maps).FirstOrDefault(line => line.StartsWith(start + " ", StringComparison.Ordinal)) is { } line ? Parse(line) : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Reads one line: an address, a policy, and among other words <c>N0=123</c> for the pages on each node.</summary>
    internal static int? Parse(string line)
    {
        var pages = new Dictionary<int, long>();
        foreach (var word in line.Split(' '))
        {
            var equals = word.IndexOf('=', StringComparison.Ordinal);
            if (equals > 1 && word[0] == 'N'
                && int.TryParse(word.AsSpan(1, equals - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var node)
                && long.TryParse(word.AsSpan(equals + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var count))
            {
                pages[node] = count;
            }
        }

        var all = pages.Values.Sum();
        return all > 0 && pages.MaxBy(entry => entry.Value) is var most && most.Value >= all - (all / 10) ? most.Key : null;
    }
}
