using System.Collections.Immutable;
using System.Globalization;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Transfer;

namespace P2PWeights.Tracker.Tests;

/// <summary>Small values for tests.</summary>
internal static class Make
{
    public static CheckpointName Checkpoint(string text) =>
        CheckpointName.TryParse(text, out var checkpoint, out var problem) ? checkpoint : throw new ArgumentException(problem, nameof(text));

    public static Digest Digest(string text) => Blake3.Hash(System.Text.Encoding.UTF8.GetBytes(text));

    /// <summary>A manifest of one file whose shards are named <c>{name}/0</c>, <c>{name}/1</c>, ...; the same name gives the same manifest.</summary>
    public static Manifest Manifest(string name, int shards = 10)
    {
        const int ShardBytes = 1000;
        ShardInfo[] list = [.. Enumerable.Range(0, shards).Select(i => new ShardInfo(Digest(string.Create(CultureInfo.InvariantCulture, $"{name}/{i}")), ShardBytes))];
        return Store.Content.Manifest.Create(Store.Content.Manifest.DefaultMaxShardBytes, [("model.bin", (long)shards * ShardBytes, list)], [], []);
    }

    public static ImmutableArray<Digest> ShardsOf(Manifest manifest) => [.. manifest.Shards.Select(shard => shard.Digest)];

    public static PeerInfo Peer(int number, string host = "", params (string Key, string Value)[] labels) => new(
        new Guid(number + 1, 0, 0, new byte[8]),
        string.Create(CultureInfo.InvariantCulture, $"n{number}"),
        [string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{10000 + number}")],
        host.Length > 0 ? host : string.Create(CultureInfo.InvariantCulture, $"host-{number}"),
        labels.ToImmutableSortedDictionary(label => label.Key, label => label.Value));

    /// <summary>Everything, as a node says it: bitmaps of the swarms, and digests of the shards in none.</summary>
    public static SyncRequest FullSync(PeerInfo peer, long sequence, IEnumerable<Digest> held, params Manifest[] swarms) =>
        Holding(peer, sequence, held, swarms) with { Full = true };

    /// <summary>What a peer holds of some swarms, and digests of the shards in none of them.</summary>
    public static SyncRequest Holding(PeerInfo peer, long sequence, IEnumerable<Digest> held, params Manifest[] swarms)
    {
        var all = held.ToHashSet();
        var rest = all.Except(swarms.SelectMany(manifest => ShardsOf(manifest)));
        return Sync(peer, sequence, rest, []) with { Swarms = [.. swarms.Select(manifest => new SwarmHoldings(manifest.Digest, Bits(manifest, all.Contains)))] };
    }

    /// <summary>Changes shard by shard.</summary>
    public static SyncRequest Sync(PeerInfo peer, long sequence, IEnumerable<Digest> gained, IEnumerable<Digest> lost) =>
        new(peer, sequence, Full: false, Leaving: false, [.. gained], [.. lost], [], [], [], 0, 0);

    public static SyncRequest Leave(PeerInfo peer, long sequence) => Sync(peer, sequence, [], []) with { Leaving = true };

    /// <summary>The same sync of a peer that pulls these swarms and has no neighbours yet.</summary>
    public static SyncRequest Pulling(this SyncRequest sync, params Manifest[] swarms) =>
        sync with { Pulls = [.. swarms.Select(manifest => new SwarmPull(manifest.Digest, 0, 0, 0, ""))] };

    /// <summary>One bit per shard of a manifest.</summary>
    public static byte[] Bits(Manifest manifest, Func<Digest, bool> isSet)
    {
        var bits = new byte[(manifest.Shards.Length + 7) / 8];
        foreach (var (ordinal, shard) in manifest.Shards.Index())
        {
            bits[ordinal / 8] |= (byte)(isSet(shard.Digest) ? 1 << (ordinal % 8) : 0);
        }

        return bits;
    }
}
