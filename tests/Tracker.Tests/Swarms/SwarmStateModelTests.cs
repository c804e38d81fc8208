using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Tracker.Swarms;
using P2PWeights.Transfer;

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
                state.Sync(Make.Leave(PeerOf(number), known.Sequence + 1));
                _model.Remove(number);
                break;
            case 2:
                _model[number] = new Known(random.Next(100), [.. SomeShards()], SomeSwarms(), _time.GetTimestamp());
                Check(state.Sync(Make.FullSync(PeerOf(number), _model[number].Sequence, _model[number].Held, _model[number].Swarms).Pulling(_model[number].Swarms)), _model[number]);
                break;
            default:
                Digest[] gained = [.. SomeShards()];
                Digest[] lost = [.. SomeShards().Except(gained)];
                var swarms = SomeSwarms();
                HashSet<Digest> held = [.. (known?.Held ?? []).Union(gained).Except(lost)];

                // Entered ones must be told as bitmaps, others may; whatever no bitmap has is told by digest.
                Manifest[] told = [.. swarms.Where(manifest => known?.Swarms.Contains(manifest) != true || random.Next(2) == 0)];
                var covered = told.SelectMany(manifest => Make.ShardsOf(manifest)).ToHashSet();
                var answer = state.Sync(
                    (Make.Sync(PeerOf(number), (known?.Sequence ?? 0) + 1, gained.Except(covered), lost.Except(covered)) with
                    {
                        Swarms = [.. told.Select(manifest => new SwarmHoldings(manifest.Digest, Make.Bits(manifest, held.Contains)))],
                        Left = [.. (known?.Swarms ?? []).Except(swarms).Select(manifest => manifest.Digest)],
                    }).Pulling(swarms));
                Assert.True(answer.Resync == (known is null), $"{_seeded}");
                if (known is not null)
                {
                    _model[number] = new Known(known.Sequence + 1, held, swarms, _time.GetTimestamp());
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
            var others = _model.Where(peer => peer.Value != asking).ToDictionary(peer => $"n{peer.Key}", peer => peer.Value);
            var members = others.Where(peer => peer.Value.Swarms.Contains(manifest)).Select(peer => peer.Key).ToList();
            var neighbours = view.Neighbours!.Value.Select(neighbour => neighbour.Name).ToList();
            Assert.Equal(members.Count + 1, view.Peers);
            Assert.True(members.All(neighbours.Contains), $"{string.Join(',', members.Except(neighbours))} are missing, {_seeded}");
            Assert.True(neighbours.All(others.ContainsKey), $"{string.Join(',', neighbours.Except(others.Keys))} are gone, {_seeded}");
            Assert.Equal(neighbours.Count, neighbours.Distinct().Count());
        }

        if (answer.Scarce is { } scarce)
        {
            var manifest = _manifests.Single(manifest => manifest.Digest == scarce.Manifest);
            Assert.True(
                Make.Bits(manifest, shard => _model.Values.Count(peer => peer.Held.Contains(shard)) <= 1).AsSpan().SequenceEqual(scarce.Shards.Span), $"{_seeded}");
        }
    }

    private SwarmHealth Expected(Manifest manifest)
    {
        Expire();
        var available = manifest.Shards.Count(shard => _model.Values.Any(peer => peer.Held.Contains(shard.Digest)));
        var complete = _model.Where(peer => peer.Value.Swarms.Contains(manifest) && manifest.Shards.All(shard => peer.Value.Held.Contains(shard.Digest))).ToList();
        return new SwarmHealth(available, manifest.Shards.Length - available, complete.Count, complete.Count(peer => !PeerOf(peer.Key).Passing));
    }

    private static PeerInfo PeerOf(int number) => Make.Peer(number) with { Passing = number % 2 == 1 };

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
