using P2PWeights.Tracker.Http;

namespace P2PWeights.Tracker.Swarms;

/// <summary>What a sync may say, given what is known of its peer and of the swarms; <see cref="RequestRules"/> has what it may say whatever is known. Changes nothing.</summary>
internal static class SyncLimits
{
    /// <param name="known">The peer; null when it is new.</param>
    /// <param name="swarms">Those in memory.</param>
    /// <param name="mostHeld">Shards up to which a peer may tell of more by digest.</param>
    /// <exception cref="TrackerException">The sync is refused.</exception>
    public static void Require(SyncRequest request, TrackedState? known, SwarmTable swarms, int mostHeld)
    {
        foreach (var (manifest, held) in request.Swarms)
        {
            if (swarms.Find(manifest) is { } swarm && !swarm.Fits(held.Span))
            {
                throw Refused($"{held.Length} bytes are no bitmap of manifest {manifest}, which has {swarm.Shards} shards");
            }
        }

        // A full sync names all that the peer is in and holds, no more than one request may.
        if (request.Full || known is null)
        {
            return;
        }

        if (!request.Swarms.IsEmpty && SwarmsAfter(request, known, swarms) > RequestRules.MaxSwarms)
        {
            throw Refused($"a peer is in {RequestRules.MaxSwarms} swarms at most: leave some before it enters others");
        }

        if (!request.Gained.IsEmpty && known.Held.Count + request.Gained.Length > mostHeld)
        {
            throw Refused(
                $"{request.Peer.Name} holds {known.Held.Count} shards and tells of {request.Gained.Length} more by digest: beyond {mostHeld} a peer tells of shards in swarms only; enter the swarms of what it holds, or hold less");
        }
    }

    /// <summary>Only what the peer is really in counts, and only what it really leaves: digests that nobody heard of make no room.</summary>
    private static int SwarmsAfter(SyncRequest request, TrackedState known, SwarmTable swarms) => known.Memberships
        .Select(member => member.Swarm.Manifest)
        .Except(request.Left)
        .Union(request.Swarms.Select(swarm => swarm.Manifest).Where(swarms.Contains))
        .Count();

    private static TrackerException Refused(string message) => new(TrackerError.Refused, message);
}
