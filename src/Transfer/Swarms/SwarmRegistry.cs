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

    /// <summary>The same swarms for <see cref="OnChanged"/>, which runs for every shard: to enumerate the dictionary would copy it.</summary>
    private ImmutableArray<Swarm> _all = [];

    public SwarmRegistry(ShardStore store)
    {
        _store = store;
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

    public void Leave(Digest manifest)
    {
        if (_swarms.TryRemove(manifest, out var left))
        {
            ImmutableInterlocked.Update(ref _all, static (all, gone) => all.Remove(gone), left);
            MembershipChanged?.Invoke();
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

    public void Dispose() => _store.Changed -= OnChanged;

    private void OnChanged(ShardChange change)
    {
        foreach (var swarm in _all)
        {
            swarm.Set(change.Shard.Digest, change.Gained);
        }
    }
}
