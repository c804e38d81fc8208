using P2PWeights.Client;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Settings;

/// <summary>The paths that a node may take: a list, best first, and a switch per path that takes it out, wherever the list came from.</summary>
internal static class AllowedPaths
{
    /// <summary>Name of the list.</summary>
    public const string List = "paths";

    public const string ListHelp = "Paths by which shards may come, best first.";

    /// <summary>Name of a path's off switch.</summary>
    public static string OffSwitch(string path) => $"no-{path}";

    public static string OffHelp(string path) => $"Never take the path {path}, whatever --{List} says.";

    /// <summary>What is left of the list.</summary>
    /// <param name="isOff">Whether a path's off switch is on.</param>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: nothing is left.</exception>
    public static IReadOnlyList<string> Of(IReadOnlyList<string> list, Func<string, bool> isOff)
    {
        List<string> left = [.. list.Where(path => !isOff(path))];
        return left.Count > 0
            ? left
            : throw new NodeException(
                NodeError.Usage,
                $"no path is left: {List} is {string.Join(',', list)}, and {string.Join(", ", list.Select(OffSwitch))} take that out again. Nothing was started. Allow one of {string.Join(", ", PathNames.All)}.");
    }
}
