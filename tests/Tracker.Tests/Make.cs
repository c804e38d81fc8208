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

    public static SyncRequest FullSync(PeerInfo peer, long sequence, IEnumerable<Digest> held, params Manifest[] swarms) =>
        new(peer, sequence, Full: true, Leaving: false, [.. held], [], [.. swarms.Select(manifest => manifest.Digest)], 0, 0);

    public static SyncRequest Sync(PeerInfo peer, long sequence, IEnumerable<Digest> gained, IEnumerable<Digest> lost, params Manifest[] swarms) =>
        new(peer, sequence, Full: false, Leaving: false, [.. gained], [.. lost], [.. swarms.Select(manifest => manifest.Digest)], 0, 0);

    public static SyncRequest Leave(PeerInfo peer, long sequence) => new(peer, sequence, Full: false, Leaving: true, [], [], [], 0, 0);
}
