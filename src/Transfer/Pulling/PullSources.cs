using P2PWeights.Store.Content;
using P2PWeights.Transfer.Pulling.Limits;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// The peers that a pull fetches from: neighbours come and go, sessions with them come up and break, and who fails is put off or banned.
/// Owned by the pull's loop.
/// </summary>
internal sealed class PullSources(PullContext context, Manifest manifest, PullPlanner planner, PullLoop loop) : IPullSourceOwner
{
    /// <summary>Before a busy source is asked again, whatever it says.</summary>
    private static readonly TimeSpan ShortestWait = TimeSpan.FromMilliseconds(10);

    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(30);

    /// <summary>Peers that one pull keeps sessions with. The tracker names others each time, and a large swarm must not become a mesh of everybody with everybody.</summary>
    internal const int MaxSources = 32;

    private readonly Dictionary<Guid, PullSource> _sources = [];
    private readonly List<PullSource> _former = [];
    private Dictionary<Guid, PeerInfo> _neighbours = [];
    private bool _hasTurnedAway;

    /// <summary>Raised when a source was banned: what is under way from it is to be given up.</summary>
    public event Action<PullSource>? Banned;

    /// <summary>The sources of this moment, reachable or not.</summary>
    public Dictionary<Guid, PullSource>.ValueCollection Current => _sources.Values;

    /// <summary>Every source that had a part in the pull, for its report.</summary>
    public IEnumerable<PullSource> Reported => _sources.Values.Concat(_former.Where(former => former.WasUsed));

    /// <summary>The source that the planner knows by this name.</summary>
    public PullSource Of(PlannedSource planned)
    {
        foreach (var source in _sources.Values)
        {
            if (source.Planned == planned)
            {
                return source;
            }
        }

        throw new InvalidOperationException($"the planner chose {planned.Peer}, which is no source of this pull");
    }

    /// <summary>Whom the pull tried and what was wrong with each, as a sentence.</summary>
    public string Tried()
    {
        var tried = _sources.Values.Select(s => $"{s.Peer.Name} ({string.Join(", ", s.Peer.Endpoints)}): {s.Problem ?? "holds none of what is missing"}").ToList();
        return tried.Count > 0 ? $"Tried {string.Join("; ", tried)}" : "No peer is known to hold them: is the node that published them running?";
    }

    /// <summary>Takes up new neighbours. Working sessions with former ones are kept as long as there is room, or they are of use.</summary>
    public void Refresh(IEnumerable<PeerInfo> all)
    {
        _neighbours = all.Where(peer => peer.Id != context.Self).DistinctBy(peer => peer.Id).ToDictionary(peer => peer.Id);
        foreach (var gone in _sources.Values.Where(source => source.Planned is null && !_neighbours.ContainsKey(source.Peer.Id)).ToList())
        {
            Drop(gone);
        }

        TakeUp();
    }

    /// <summary>Takes up neighbours for which there was no room, in the place of former ones that have nothing more to give.</summary>
    public void RefreshTurnedAway()
    {
        if (_hasTurnedAway && (_sources.Count < MaxSources || FirstUseless() is not null))
        {
            TakeUp();
        }
    }

    private void TakeUp()
    {
        _hasTurnedAway = false;
        foreach (var peer in _neighbours.Values)
        {
            if (_sources.TryGetValue(peer.Id, out var known))
            {
                known.Peer = peer;
                continue;
            }

            if (_sources.Count >= MaxSources && FirstUseless() is { } useless)
            {
                SourceDown(useless);
                Drop(useless);
            }

            if (_sources.Count >= MaxSources)
            {
                _hasTurnedAway = true;
            }
            else
            {
                var source = new PullSource(peer, context, manifest.Shards.Length);
                _sources.Add(peer.Id, source);
                loop.Run(() => source.RunAsync(manifest.Digest, this, loop.Post, loop.Stopping));
            }
        }
    }

    /// <summary>A former neighbour that has told what it holds, of which nothing is to be asked for or under way; null when there is none.</summary>
    private PullSource? FirstUseless()
    {
        foreach (var source in _sources.Values)
        {
            if (source is { Planned: { Useful: 0, Outstanding: 0 }, Remote.HasTold: true } && !_neighbours.ContainsKey(source.Peer.Id))
            {
                return source;
            }
        }

        return null;
    }

    private void Drop(PullSource source)
    {
        _sources.Remove(source.Peer.Id);
        _former.Add(source);
        source.Leave();
    }

    /// <summary>The source did not give a shard.</summary>
    public void Unserved(Fetch fetch, FetchOutcome outcome)
    {
        var (source, planned) = (fetch.Source, fetch.Assignment.Source);
        switch (outcome.Status)
        {
            case FetchStatus.Busy:
                (source.Problem, source.IsBusy) = ("it had no free upload slot", true);
                planned.NotBefore = loop.Now + (outcome.RetryAfter > ShortestWait ? outcome.RetryAfter : ShortestWait);
                break;
            case FetchStatus.NotFound:
                source.Failures++;
                source.Problem = "it no longer holds a shard that it announced";
                source.Denied.Add(fetch.Assignment.Ordinal, loop.Now);
                SourceChanged(source);
                break;
            case FetchStatus.ProtocolError:
                source.Failures++;
                Ban(source, $"it broke the protocol: {outcome.Detail}");
                break;
            default:
                source.Failures++;
                PutOff(source, planned, outcome.Detail ?? "the connection broke");
                break;
        }
    }

    /// <summary>Why no more shards are asked for now, as far as the sources go.</summary>
    public NoMore WhyNoMore()
    {
        var (now, busy, putOff, calling) = (loop.Now, false, false, false);
        foreach (var source in _sources.Values)
        {
            if (source.Planned is { Useful: > 0 } planned)
            {
                if (planned.NotBefore <= now)
                {
                    return NoMore.WindowsFull;
                }

                (busy, putOff) = (busy || source.IsBusy, putOff || !source.IsBusy);
            }

            calling |= source.Problem is null && source.Remote is not { HasTold: true };
        }

        return busy ? NoMore.Busy : putOff ? NoMore.PutOff : calling ? NoMore.Calling : NoMore.NoHolder;
    }

    /// <summary>Asks the source for nothing for a while, longer with each failure in a row.</summary>
    public void PutOff(PullSource source, PlannedSource planned, string why)
    {
        (source.Problem, source.IsBusy) = (why, false);
        var pause = FirstRetry * Math.Pow(2, Math.Min(planned.FailuresInRow++, 10));
        planned.NotBefore = loop.Now + (pause < LongestRetry ? pause : LongestRetry);
    }

    /// <summary>The source sent what it must not: neither this pull nor another asks it again for the time of a ban.</summary>
    public void Ban(PullSource source, string why)
    {
        if (source.Banned is null)
        {
            source.Banned = why;
            source.Problem = $"banned: {why}";
            context.Peers.Ban(source.Peer, why);
        }

        SourceDown(source);
        Banned?.Invoke(source);
    }

    public void SourceUp(PullSource source)
    {
        // A session may come up after its peer was dropped from the sources.
        if (source.Banned is null && source.Planned is null && _sources.GetValueOrDefault(source.Peer.Id) == source)
        {
            source.Planned = planner.AddSource(source.Peer.Id, Nearness.Of(context.Options.HostId, context.Options.Labels, source.Peer));
            source.Planned.RoundTrip = source.RoundTrip;
            SourceChanged(source);
        }
    }

    public void SourceChanged(PullSource source)
    {
        if (source is { Planned: { } planned, Remote: { } remote })
        {
            planner.SetHeld(planned, source.Denied.Without(remote.Held(), loop.Now), remote.IsPublisher);
        }
    }

    public void SourceDown(PullSource source)
    {
        if (source.Planned is { } planned)
        {
            planner.RemoveSource(planned);
            source.Planned = null;
        }
    }

    public void SourceBroke(PullSource source, string how) => Ban(source, $"it broke the protocol: {how}");
}
