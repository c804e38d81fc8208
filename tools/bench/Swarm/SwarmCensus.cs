using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Bench.Swarm;

/// <summary>Asks a tracker how widely a checkpoint is spread, as a peer would that holds nothing, cannot be reached, and leaves at once.</summary>
internal sealed class SwarmCensus(Uri tracker) : IDisposable
{
    private readonly TrackerClient _client = new([tracker], null, TimeProvider.System);
    private readonly PeerInfo _self = new(Guid.NewGuid(), "census", [], "", ImmutableSortedDictionary<string, string>.Empty);

    /// <summary>Replicas of the shard that has the fewest.</summary>
    public async Task<int> FewestReplicasAsync(Digest manifest, CancellationToken cancellationToken)
    {
        var answer = await _client.SyncAsync(Sync(manifest, leaving: false), cancellationToken);
        await _client.SyncAsync(Sync(manifest, leaving: true), cancellationToken);
        return answer.Swarms.Single().Rarity.ToArray().Min();
    }

    public void Dispose() => _client.Dispose();

    private SyncRequest Sync(Digest manifest, bool leaving) => new(_self, 1, Full: !leaving, leaving, [], [], [manifest], 0, 0);
}
