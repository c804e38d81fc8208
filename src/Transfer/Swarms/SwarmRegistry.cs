using System.Collections.Concurrent;
using System.Collections.Immutable;
using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Swarms;

/// <summary>The swarms that this node is in, kept up to date with its store. Thread-safe.</summary>
internal sealed class SwarmRegistry : IDisposable
{
    private readonly ConcurrentDictionary<Digest, Swarm> _swarms = new();
    private readonly ShardStore _store;
    private readonly TimeProvider _time;

    /// <summary>The same swarms for what is done with every shard: to enumerate the dictionary would copy it.</summary>
    private ImmutableArray<Swarm> _all = [];

    public SwarmRegistry(ShardStore store, TimeProvider time)
    {
        (_store, _time) = (store, time);
        _store.Changed += OnChanged;
    }

    /// <summary>Raised after a swarm was joined or left; handlers must not block.</summary>
    public event Action? MembershipChanged;

    /// <summary>Raised when a peer asks about a swarm that this node is not in; handlers must not block.</summary>
    public event Action<Digest>? UnknownAsked;

    public IReadOnlyList<Digest> Joined => [.. _swarms.Keys];

    public Swarm Join(Manifest manifest)
    {
        if (_swarms.TryGetValue(manifest.Digest, out var known))
        {
            return known;
        }

        var added = new Swarm(manifest);
        var swarm = _swarms.GetOrAdd(manifest.Digest, added);
        if (ReferenceEquals(swarm, added))
        {
            // Before the scan: what changes from here on is told to the swarm.
            ImmutableInterlocked.Update(ref _all, static (all, joined) => all.Add(joined), swarm);
            swarm.Scan(_store.Contains);
            MembershipChanged?.Invoke();
        }

        return swarm;
    }

    /// <summary>Joins the swarm of a manifest that this node published.</summary>
    public void JoinAsPublisher(Manifest manifest) => Join(manifest).Publish(_time);

    public void Leave(Digest manifest)
    {
        if (_swarms.TryRemove(manifest, out var left))
        {
            ImmutableInterlocked.Update(ref _all, static (all, gone) => all.Remove(gone), left);
            MembershipChanged?.Invoke();
        }
    }

    /// <summary>Those whose manifests have the shard, and its ordinal in each.</summary>
    public IEnumerable<(Digest Manifest, int Ordinal)> With(Digest shard)
    {
        foreach (var swarm in _all)
        {
            if (swarm.OrdinalOf(shard) is var ordinal and >= 0)
            {
                yield return (swarm.Manifest.Digest, ordinal);
            }
        }
    }

    public Swarm? Find(Digest manifest) => _swarms.GetValueOrDefault(manifest);

    /// <summary>A peer asks what is held of a swarm.</summary>
    public void NoteSubscriber(Digest manifest, Guid peer)
    {
        if (Find(manifest) is { } swarm)
        {
            swarm.NoteSubscriber(peer);
        }
        else
        {
            UnknownAsked?.Invoke(manifest);
        }
    }

    /// <summary>A shard begins to be sent, or a peer may read it from now on. <see cref="SendEnded"/> follows.</summary>
    public void SendBegins(Digest shard)
    {
        foreach (var swarm in _all)
        {
            if (swarm.Reveal is { } reveal && swarm.OrdinalOf(shard) is var ordinal and >= 0)
            {
                reveal.Begin(ordinal);
            }
        }
    }

    /// <summary>The shard was sent, or could not be.</summary>
    public void SendEnded(Digest shard)
    {
        foreach (var swarm in _all)
        {
            if (swarm.Reveal is { } reveal && swarm.OrdinalOf(shard) >= 0)
            {
                reveal.End();
            }
        }
    }

    public void Dispose() => _store.Changed -= OnChanged;

    private void OnChanged(ShardChange change)
    {
        foreach (var swarm in _all)
        {
            swarm.Set(change.Shard.Digest, change.Gained);
        }
    }
}
