using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Swarms;

/// <summary>One swarm as this node sees it: the manifest's shard table, which of the shards are held here, and who the neighbours are. Thread-safe.</summary>
internal sealed class Swarm
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Digest, int> _ordinals;
    private readonly ShardBitmap _held;
    private ShardBitmap? _touched;
    private ImmutableArray<PeerInfo> _neighbours = [];
    private bool _hasStrangers;
    private volatile SwarmReveal? _reveal;

    public Swarm(Manifest manifest)
    {
        if (manifest.Shards.Length > WireLimit)
        {
            throw new TransferException(TransferError.Protocol, $"{manifest.Shards.Length} shards are more than a swarm can have ({WireLimit}): publish with a larger MaxShardBytes");
        }

        Manifest = manifest;
        _ordinals = new Dictionary<Digest, int>(manifest.Shards.Length);
        for (var i = 0; i < manifest.Shards.Length; i++)
        {
            _ordinals.TryAdd(manifest.Shards[i].Digest, i);
        }

        _held = new ShardBitmap(manifest.Shards.Length);
        _touched = new ShardBitmap(manifest.Shards.Length);
    }

    /// <summary>Raised after a change of the own holdings; handlers must not block.</summary>
    public event Action? HeldChanged;

    /// <summary>Raised after <see cref="Neighbours"/> was set; handlers must not block.</summary>
    public event Action? NeighboursChanged;

    public Manifest Manifest { get; }

    /// <summary>What is revealed to whom when this node published the manifest; else null.</summary>
    public SwarmReveal? Reveal => _reveal;

    public ImmutableArray<PeerInfo> Neighbours
    {
        get
        {
            lock (_gate)
            {
                return _neighbours;
            }
        }

        set
        {
            lock (_gate)
            {
                _neighbours = value;
            }

            NeighboursChanged?.Invoke();
        }
    }

    private static int WireLimit => Wire.WireLimits.MaxShards;

    /// <summary>This node published the manifest: from now on, what subscribers are told is revealed to each. Idempotent.</summary>
    public void Publish(TimeProvider time)
    {
        lock (_gate)
        {
            _reveal ??= new SwarmReveal(_held, RevealPlanner.AheadOf(Manifest.Shards.Length == 0 ? 0 : Manifest.Shards.Max(shard => shard.Size)), time);
        }

        HeldChanged?.Invoke();
    }

    /// <summary>A peer subscribed to the swarm here.</summary>
    public void NoteSubscriber(Guid peer)
    {
        lock (_gate)
        {
            _hasStrangers |= !_neighbours.Any(neighbour => neighbour.Id == peer);
        }
    }

    /// <summary>Whether a peer that is no known neighbour has subscribed since the last call: the neighbours known here are not all there are.</summary>
    public bool TakeStrangers()
    {
        lock (_gate)
        {
            var had = _hasStrangers;
            _hasStrangers = false;
            return had;
        }
    }

    /// <summary>The ordinal of a shard; -1 when the manifest does not have it.</summary>
    public int OrdinalOf(Digest shard) => _ordinals.GetValueOrDefault(shard, -1);

    /// <summary>A copy of the bitmap of shards held here.</summary>
    public ShardBitmap Held()
    {
        lock (_gate)
        {
            return _held.Clone();
        }
    }

    /// <summary>
    /// Looks once at what the store holds. The store goes on changing meanwhile, without a lock against this: a shard that <see cref="Set"/> was told of
    /// since the construction keeps what it was told.
    /// </summary>
    public void Scan(Func<Digest, bool> contains)
    {
        for (var i = 0; i < Manifest.Shards.Length; i++)
        {
            var held = contains(Manifest.Shards[i].Digest);
            lock (_gate)
            {
                if (_touched is { } touched && !touched[i])
                {
                    _held[i] = held;
                }
            }
        }

        lock (_gate)
        {
            _touched = null;
        }

        HeldChanged?.Invoke();
    }

    /// <summary>The store gained or lost a shard; shards of other swarms are passed over.</summary>
    public void Set(Digest digest, bool held)
    {
        if (!_ordinals.TryGetValue(digest, out var ordinal))
        {
            return;
        }

        lock (_gate)
        {
            _held[ordinal] = held;
            if (_touched is { } touched)
            {
                touched[ordinal] = true;
            }

            _reveal?.SetHeld(ordinal, held);
        }

        HeldChanged?.Invoke();
    }
}
