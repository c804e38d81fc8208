using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Tracker.Swarms;

namespace P2PWeights.Tracker.Tests.Swarms;

/// <summary>Random syncs against a model made of plain sets: whatever the bits and counters do, the answers are the same.</summary>
public sealed class SwarmStateModelTests
{
    private const int Peers = 12;
    private static readonly TimeSpan Lease = TimeSpan.FromSeconds(10);

    private readonly Seeded _seeded = new();
    private readonly ManualTime _time = new();
    private readonly Dictionary<int, Known> _model = [];

    /// <summary>Manifests that share shards, so that ordinals are not in one run: the second takes every third shard of the first among its own.</summary>
    private readonly Manifest[] _manifests = [Make.Manifest("a", 200), Mixed(), Make.Manifest("c", 65)];

    [Fact]
    public void Sync_random_history_agrees_with_plain_sets()
    {
        var state = new SwarmState(Lease, neighbours: Peers, _time, new Random(_seeded.Seed));
        foreach (var manifest in _manifests)
        {
            state.AddSwarm(manifest.Digest, manifest.Shards);
        }

        for (var step = 0; step < 600; step++)
        {
            Step(state);
            foreach (var manifest in _manifests)
            {
                Assert.True(Expected(manifest) == state.Health(manifest.Digest), $"step {step}, {_seeded}");
            }
        }
    }

    private static Manifest Mixed()
    {
        ShardInfo[] shards = [.. Enumerable.Range(0, 150).Select(i => new ShardInfo(Make.Digest(i % 3 == 0 ? $"a/{i}" : $"b/{i}"), 1000))];
        return Manifest.Create(Manifest.DefaultMaxShardBytes, [("mixed.bin", 150_000L, shards)], [], []);
    }

    private void Step(SwarmState state)
    {
        var random = _seeded.Random;
        Expire();
        var number = random.Next(Peers);
        var known = _model.GetValueOrDefault(number);
        switch (random.Next(10))
        {
            case 0:
                _time.Advance(Lease / 3);
                break;
            case 1 when known is not null:
                state.Sync(Make.Leave(Make.Peer(number), known.Sequence + 1));
                _model.Remove(number);
                break;
            case 2:
                _model[number] = new Known(random.Next(100), [.. SomeShards()], SomeSwarms(), _time.GetTimestamp());
                Check(state.Sync(Make.FullSync(Make.Peer(number), _model[number].Sequence, _model[number].Held, _model[number].Swarms)), _model[number]);
                break;
            default:
                Digest[] gained = [.. SomeShards()];
                Digest[] lost = [.. SomeShards().Except(gained)];
                var swarms = SomeSwarms();
                var answer = state.Sync(Make.Sync(Make.Peer(number), (known?.Sequence ?? 0) + 1, gained, lost, swarms));
                Assert.True(answer.Resync == (known is null), $"{_seeded}");
                if (known is not null)
                {
                    _model[number] = new Known(known.Sequence + 1, [.. known.Held.Union(gained).Except(lost)], swarms, _time.GetTimestamp());
                    Check(answer, _model[number]);
                }

                break;
        }
    }

    private void Check(SyncResponse answer, Known asking)
    {
        Assert.Equal(asking.Swarms.Select(manifest => manifest.Digest).Order(), answer.Swarms.Select(view => view.Manifest).Order());
        foreach (var view in answer.Swarms)
        {
            var manifest = _manifests.Single(manifest => manifest.Digest == view.Manifest);
            var others = _model.Where(peer => peer.Value != asking && peer.Value.Swarms.Contains(manifest)).ToDictionary(peer => $"n{peer.Key}", peer => peer.Value);
            Assert.Equal(others.Count + 1, view.Peers);
            Assert.Equal(others.Keys.Order(), view.Neighbours.Select(neighbour => neighbour.Peer.Name).Order());
            foreach (var neighbour in view.Neighbours)
            {
                Assert.True(Bits(manifest, others[neighbour.Peer.Name].Held).SequenceEqual(neighbour.Held.ToArray()), $"{_seeded}");
            }

            var rarity = manifest.Shards.Select(shard => (byte)_model.Values.Count(peer => peer.Held.Contains(shard.Digest)));
            Assert.True(rarity.SequenceEqual(view.Rarity.ToArray()), $"{_seeded}");
        }
    }

    private SwarmHealth Expected(Manifest manifest)
    {
        Expire();
        var available = manifest.Shards.Count(shard => _model.Values.Any(peer => peer.Held.Contains(shard.Digest)));
        var complete = _model.Values.Count(peer => manifest.Shards.All(shard => peer.Held.Contains(shard.Digest)));
        return new SwarmHealth(available, manifest.Shards.Length - available, complete);
    }

    private static byte[] Bits(Manifest manifest, HashSet<Digest> held)
    {
        var bits = new byte[(manifest.Shards.Length + 7) / 8];
        foreach (var (ordinal, shard) in manifest.Shards.Index())
        {
            bits[ordinal / 8] |= (byte)(held.Contains(shard.Digest) ? 1 << (ordinal % 8) : 0);
        }

        return bits;
    }

    private void Expire()
    {
        foreach (var (number, peer) in _model.ToArray())
        {
            if (_time.GetElapsedTime(peer.LastSync) >= Lease)
            {
                _model.Remove(number);
            }
        }
    }

    /// <summary>A few shards, or all of one manifest, or some that no manifest has.</summary>
    private IEnumerable<Digest> SomeShards()
    {
        var random = _seeded.Random;
        var shards = Make.ShardsOf(_manifests[random.Next(_manifests.Length)]);
        return random.Next(4) switch
        {
            0 => shards,
            1 => Enumerable.Range(0, 5).Select(i => Make.Digest($"stray/{random.Next(30)}/{i}")).Distinct(),
            _ => shards.Where(_ => random.Next(5) == 0).ToArray(),
        };
    }

    private Manifest[] SomeSwarms() => [.. _manifests.Where(_ => _seeded.Random.Next(2) == 0)];

    private sealed record Known(long Sequence, HashSet<Digest> Held, Manifest[] Swarms, long LastSync);
}
