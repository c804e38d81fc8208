using System.Globalization;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Pulling;

/// <summary>What the whole of a pull waited for most: the transfer's own limit, or the part beside the transfer that took longer than all of it. Pure.</summary>
internal static class PhaseLimit
{
    public static PullLimit? Find(IReadOnlyList<PullPhase> phases, TimeSpan elapsed, PullLimit? transfer)
    {
        var longest = phases.MaxBy(phase => phase.Elapsed)!;
        if (longest.Name == PullPhases.Fetching || elapsed <= TimeSpan.Zero)
        {
            return transfer;
        }

        var (what, help) = longest.Name switch
        {
            PullPhases.Checking => ("hashing what lay in the folder before", "more cores, or a faster disk under the folder"),
            PullPhases.Completing => ("syncing the files of the folder", "a faster disk under the folder"),
            _ => ("the tracker's answer", "look at the tracker: `p2pw status --tracker URL`"),
        };
        var share = longest.Elapsed / elapsed;
        var numbers = string.Create(CultureInfo.InvariantCulture, $"{longest.Elapsed.TotalSeconds:0.0} of {elapsed.TotalSeconds:0.0} s");
        return new PullLimit(longest.Name, null, share, $"{what}: {numbers}", help, transfer?.WindowFull ?? 0, transfer?.Stages ?? []);
    }
}
