namespace P2PWeights.Repository.Tests;

/// <summary>The reference rule: each project of src may use those after it, never those before it.</summary>
internal static class Layers
{
    /// <summary>Client -> Tracker -> Transfer -> Store -> Native.</summary>
    public static IReadOnlyList<string> InOrder { get; } = ["Client", "Tracker", "Transfer", "Store", "Native"];

    /// <summary>Whether a project of src may refer to another.</summary>
    public static bool Allows(string from, string to) => IndexOf(from) < IndexOf(to);

    private static int IndexOf(string project)
    {
        var index = InOrder.ToList().IndexOf(project);
        return index >= 0 ? index : throw new ArgumentException($"{project} has no place in the reference rule", nameof(project));
    }
}
