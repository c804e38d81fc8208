namespace P2PWeights.Transfer.Choosing;

/// <summary>What to do about a shard, as far as its path goes.</summary>
internal enum ChoiceKind
{
    /// <summary>Take the path.</summary>
    Use,

    /// <summary>Another shard is proving the path: see what comes of that, until the time given.</summary>
    Wait,

    /// <summary>Every path has been tried for this shard.</summary>
    None,
}

/// <summary>A decision of <see cref="PathRanking"/>.</summary>
/// <param name="Path">Which path, by its place in the list; -1 for none.</param>
/// <param name="IsProof">Whether this shard proves the path: its end decides what becomes of the path.</param>
/// <param name="Until">With <see cref="ChoiceKind.Wait"/>: when to ask again at the latest.</param>
/// <param name="Epoch">To be given back with the result.</param>
internal readonly record struct PathChoice(ChoiceKind Kind, int Path, bool IsProof, TimeSpan Until, int Epoch)
{
    public static PathChoice None { get; } = new(ChoiceKind.None, -1, false, default, 0);

    /// <summary>The bit of the path in a set of tried ones.</summary>
    public uint Bit => 1u << Path;
}

/// <summary>Where a path to one peer stands.</summary>
internal enum PathState
{
    /// <summary>Not used yet.</summary>
    Untried,

    /// <summary>A shard is on its way that will show whether the path works.</summary>
    Proving,

    /// <summary>It carried a shard whose bytes were right.</summary>
    Proven,

    /// <summary>It failed; it is tried again later.</summary>
    Demoted,
}

/// <summary>Why and how long a path is not used.</summary>
/// <param name="Reason">A word of <see cref="FailureReasons"/>.</param>
/// <param name="Detail">The same for people.</param>
/// <param name="Until">When it is tried again.</param>
internal sealed record Demotion(string Reason, string Detail, TimeSpan Until);
