using System.Globalization;

namespace P2PWeights.Native.Verbs;

/// <summary>
/// How far NUMA nodes are from each other, in the units of the firmware's table (ACPI SLIT): 10 for a node and itself, 20 or more for another socket.
/// </summary>
/// <param name="rows">Row n: distances from node n, by node.</param>
/// <param name="problem">Why there are none; null when the kernel showed what it has.</param>
public sealed class NumaDistances(IReadOnlyDictionary<int, IReadOnlyList<int>> rows, string? problem = null)
{
    private const string Folder = "/sys/devices/system/node";

    /// <summary>What a node is from itself, and what is assumed where nothing is known.</summary>
    public const int Local = 10;

    /// <summary>A machine with one node.</summary>
    public static NumaDistances None { get; } = new(new Dictionary<int, IReadOnlyList<int>>());

    /// <summary>Why no distance is known; null when the kernel showed what it has.</summary>
    public string? Problem { get; } = problem;

    /// <summary>The table of this machine; <see cref="None"/> where the kernel shows none. One that cannot be read is none, with a <see cref="Problem"/>.</summary>
    public static NumaDistances Read() => Read(Folder);

    internal static NumaDistances Read(string folder)
    {
        Dictionary<int, IReadOnlyList<int>> rows = [];
        try
        {
            foreach (var path in Directory.Exists(folder) ? Directory.GetDirectories(folder, "node*") : [])
            {
                if (int.TryParse(Path.GetFileName(path)["node".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out var node)
                    && File.Exists(Path.Combine(path, "distance")))
                {
                    rows[node] = Parse(File.ReadAllText(Path.Combine(path, "distance")));
                }
            }

            return new(rows);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Half a table would call near what it does not have.
            return new(new Dictionary<int, IReadOnlyList<int>>(), exception.Message);
        }
    }

    /// <summary>The distance of two nodes; <see cref="Local"/> when either is unknown.</summary>
    public int Between(int? from, int? to) =>
        from is { } a && to is { } b && rows.TryGetValue(a, out var row) && b < row.Count ? row[b] : Local;

    /// <summary>Reads one line of the kernel's: numbers, separated by spaces. Anything else ends it.</summary>
    internal static IReadOnlyList<int> Parse(string line) =>
        [.. line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)
            .TakeWhile(word => int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out _))
            .Select(word => int.Parse(word, CultureInfo.InvariantCulture))];
}
