using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Sync;

/// <summary>The pulls under way, as the tracker is told of them, and which neighbours each swarm has. Thread-safe.</summary>
internal sealed class WatchedPulls
{
    private readonly Lock _gate = new();
    private readonly List<Watched> _pulls = [];
    private readonly Dictionary<Digest, SwarmView> _views = [];

    /// <summary>Takes up a pull until the result is disposed.</summary>
    /// <param name="progress">Asked whenever the tracker is told.</param>
    /// <param name="ended">Called at the end.</param>
    public IDisposable Enter(Digest manifest, Func<PullProgress?> progress, Action ended)
    {
        var pull = new Watched(this, manifest, progress, ended);
        lock (_gate)
        {
            _pulls.Add(pull);
        }

        return pull;
    }

    /// <summary>What the next sync says, one entry per swarm: of several pulls of one, the first.</summary>
    public ImmutableArray<SwarmPull> Describe(int most)
    {
        lock (_gate)
        {
            return [.. _pulls.DistinctBy(pull => pull.Manifest).Take(most).Select(pull => Describe(pull.Manifest, pull.Progress()))];
        }
    }

    /// <summary>The tracker answered: gives the swarms whose neighbours are other ones now.</summary>
    public IReadOnlyList<SwarmView> Take(ImmutableArray<SwarmView> views)
    {
        lock (_gate)
        {
            var news = views.Where(view => view.Neighbours is not null).ToList();
            news.ForEach(view => _views[view.Manifest] = view);
            foreach (var view in views.Where(view => view.Neighbours is null && _views.ContainsKey(view.Manifest)))
            {
                _views[view.Manifest] = _views[view.Manifest] with { Peers = view.Peers };
            }

            return news;
        }
    }

    /// <summary>The tracker started anew: its numbers mean something else now.</summary>
    public void ForgetViews()
    {
        lock (_gate)
        {
            _views.Clear();
        }
    }

    /// <summary>
    /// Whether a peer that turned up and is no neighbour is worth a question at once. In a swarm that is larger than a set of neighbours strangers are the rule, and the next sync is soon enough.
    /// </summary>
    public bool IsNewsworthy(Digest manifest)
    {
        lock (_gate)
        {
            return !_views.TryGetValue(manifest, out var view) || view.Peers - 1 <= view.Neighbours!.Value.Length;
        }
    }

    private SwarmPull Describe(Digest manifest, PullProgress? progress) => new(
        manifest,
        _views.TryGetValue(manifest, out var view) ? view.Number : 0,
        progress?.BytesDone ?? 0,
        progress?.BytesTotal ?? 0,
        progress?.Paths?.MaxBy(path => path.Bytes)?.Path ?? "");

    private void Leave(Watched pull)
    {
        lock (_gate)
        {
            _pulls.Remove(pull);
            if (!_pulls.Exists(other => other.Manifest == pull.Manifest))
            {
                _views.Remove(pull.Manifest);
            }
        }
    }

    private sealed class Watched(WatchedPulls all, Digest manifest, Func<PullProgress?> progress, Action ended) : IDisposable
    {
        public Digest Manifest => manifest;

        public Func<PullProgress?> Progress => progress;

        public void Dispose()
        {
            all.Leave(this);
            ended();
        }
    }
}
