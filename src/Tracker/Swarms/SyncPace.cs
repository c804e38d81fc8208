namespace P2PWeights.Tracker.Swarms;

/// <summary>
/// How often peers sync, so that all together stay below <see cref="SyncsPerSecond"/> however many they are: the pauses grow with their number. The lease is three pauses at least,
/// so that one lost sync costs nobody its place. Pure.
/// </summary>
/// <param name="lease">The lease while there are few peers.</param>
internal sealed class SyncPace(TimeSpan lease)
{
    /// <summary>What a tracker answers with ease (docs/benchmarks.md has what it can).</summary>
    internal const int SyncsPerSecond = 1000;

    /// <returns>The lease, and for how long a peer gathers changes between two syncs.</returns>
    public (TimeSpan Lease, TimeSpan Gather) For(int peers)
    {
        var turn = TimeSpan.FromSeconds((double)peers / SyncsPerSecond);
        var gather = lease / 10 > turn ? lease / 10 : turn;
        return (lease > 3 * gather ? lease : 3 * gather, gather);
    }
}
