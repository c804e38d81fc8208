namespace P2PWeights.Transfer.Choosing;

/// <summary>
/// Decides which of the allowed paths to one peer carries the next shard. Pure: told what happened and what time it is, does no IO, owns no clock, takes its
/// randomness from outside. Not thread-safe; <see cref="PeerPaths"/> guards it.
/// Rules: the best path that works, in the order of the settings. A path proves itself by one shard; the first time, others wait for that, but not longer than
/// the patience, and never when there is no other path to fall to. A path that fails is demoted for a while that doubles with each failure, and then proves itself anew while
/// the others go on by the next. The last path is used even while it is demoted: there is nothing that would be better.
/// </summary>
internal sealed class PathRanking
{
    /// <summary>Most paths: a set of tried ones is 32 bits.</summary>
    public const int MaxPaths = 32;

    private static readonly TimeSpan FirstBackOff = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestBackOff = TimeSpan.FromSeconds(60);

    private readonly Entry[] _paths;
    private readonly TimeSpan _patience;
    private readonly Random _random;

    /// <param name="paths">The allowed paths, best first.</param>
    /// <param name="patience">How long shards wait for another's proof.</param>
    public PathRanking(IReadOnlyList<string> paths, TimeSpan patience, Random random)
    {
        _paths = [.. paths.Select(name => new Entry(name))];
        _patience = patience;
        _random = random;
    }

    public int Count => _paths.Length;

    /// <summary>Where a path stands. One whose demotion is over counts as demoted until a shard proves it.</summary>
    public PathState StateOf(int path) => _paths[path].State;

    /// <summary>Why a path is not used; null while nothing speaks against it.</summary>
    public Demotion? DemotionOf(int path) => _paths[path].Demotion;

    /// <summary>The path for the next shard.</summary>
    /// <param name="tried">Bits of the paths that this shard has been tried by.</param>
    public PathChoice Choose(uint tried, TimeSpan now)
    {
        var last = -1;
        for (var path = 0; path < _paths.Length; path++)
        {
            if ((tried & (1u << path)) == 0)
            {
                last = path;
            }
        }

        for (var path = 0; path < last; path++)
        {
            var entry = _paths[path];
            if ((tried & (1u << path)) != 0)
            {
                continue;
            }

            switch (entry.State)
            {
                case PathState.Proven:
                    return Use(path, isProof: false);
                case PathState.Untried:
                case PathState.Demoted when now >= entry.Demotion!.Until:
                    return Prove(path, now);
                case PathState.Proving when entry.Demotion is null && now < entry.ProvingSince + _patience:
                    return new PathChoice(ChoiceKind.Wait, path, false, entry.ProvingSince + _patience, entry.Epoch);
            }
        }

        return last < 0 ? PathChoice.None : _paths[last].State is PathState.Proven or PathState.Proving ? Use(last, isProof: false) : Prove(last, now);
    }

    /// <summary>A shard came by the path and its bytes were right.</summary>
    /// <returns>Whether this is what proved it.</returns>
    public bool Succeeded(PathChoice choice, TimeSpan now)
    {
        var entry = _paths[choice.Path];
        if (entry.Epoch != choice.Epoch || entry.State == PathState.Proven)
        {
            return false;
        }

        (entry.State, entry.Demotion, entry.ProvenAt) = (PathState.Proven, null, now);
        return true;
    }

    /// <summary>A shard ended without saying anything about the path: the peer is busy, or does not have it, or the fetch was given up.</summary>
    public void Ended(PathChoice choice)
    {
        var entry = _paths[choice.Path];
        if (choice.IsProof && entry.Epoch == choice.Epoch && entry.State == PathState.Proving)
        {
            entry.State = entry.Demotion is null ? PathState.Untried : PathState.Demoted;
        }
    }

    /// <summary>The path failed. What was under way on it when it did says nothing more.</summary>
    /// <returns>The demotion; null when the path was demoted already for what happened to others on it.</returns>
    public Demotion? Failed(PathChoice choice, string reason, string detail, TimeSpan now) =>
        _paths[choice.Path].Epoch == choice.Epoch ? Demote(choice.Path, reason, detail, now) : null;

    /// <summary>Demotes a path from now on, whatever it is doing.</summary>
    public Demotion Demote(int path, string reason, string detail, TimeSpan now)
    {
        var entry = _paths[path];

        // What worked for longer than the longest back-off starts anew: its failure is a new one.
        entry.FailuresInRow = entry.State == PathState.Proven && now - entry.ProvenAt > LongestBackOff ? 0 : entry.FailuresInRow;
        var pause = Math.Min(FirstBackOff.TotalSeconds * Math.Pow(2, Math.Min(entry.FailuresInRow, 30)), LongestBackOff.TotalSeconds) * (0.75 + (_random.NextDouble() / 2));
        entry.FailuresInRow++;
        entry.Epoch++;
        entry.State = PathState.Demoted;
        return entry.Demotion = new Demotion(reason, detail, now + TimeSpan.FromSeconds(pause));
    }

    /// <summary>
    /// Wrong bytes came by the path. On a one-sided path that may be the path's own fault, so it is demoted and another has its chance; when bytes
    /// are wrong by a second path too, or by one where the peer itself sends, or there is no other, they are the peer's.
    /// </summary>
    /// <returns>Whether the peer is to be banned.</returns>
    public bool WrongBytes(PathChoice choice, string detail, TimeSpan now)
    {
        var entry = _paths[choice.Path];
        var isPeers = !PathNames.IsOneSided(entry.Name) || _paths.Length == 1 || _paths.Any(other => other != entry && other.WasWrong);
        entry.WasWrong = true;
        Failed(choice, FailureReasons.WrongBytes, detail, now);
        return isPeers;
    }

    /// <summary>Whether there is another path that nothing speaks against.</summary>
    public bool HasOther(int path) => _paths.Where((entry, index) => index != path && entry.Demotion is null).Any();

    private PathChoice Use(int path, bool isProof) => new(ChoiceKind.Use, path, isProof, default, _paths[path].Epoch);

    private PathChoice Prove(int path, TimeSpan now)
    {
        (_paths[path].State, _paths[path].ProvingSince) = (PathState.Proving, now);
        return Use(path, isProof: true);
    }

    private sealed class Entry(string name)
    {
        public string Name => name;

        public PathState State { get; set; }

        public Demotion? Demotion { get; set; }

        public TimeSpan ProvingSince { get; set; }

        public TimeSpan ProvenAt { get; set; }

        public int FailuresInRow { get; set; }

        /// <summary>Counts the demotions, so that what began before one does not count after it.</summary>
        public int Epoch { get; set; }

        /// <summary>Whether wrong bytes ever came by it.</summary>
        public bool WasWrong { get; set; }
    }
}
