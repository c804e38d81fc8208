using System.Collections.Immutable;
using P2PWeights.Client;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Bench.Swarm;

/// <summary>Asks a tracker how widely a checkpoint is spread, as a peer would that holds nothing, cannot be reached, and leaves at once.</summary>
internal sealed class SwarmCensus(Uri tracker) : IDisposable
{
    private readonly TrackerClient _client = new([tracker], null, TimeProvider.System);

    /// <summary>Whether no shard depends on one node any more.</summary>
    public async Task<bool> IsNothingScarceAsync(PublishReport published, CancellationToken cancellationToken)
    {
        // Another peer each time: the tracker tells a peer of scarce shards at its first sync, and seldom after that.
        var self = new PeerInfo(Guid.NewGuid(), "census", [], "", ImmutableSortedDictionary<string, string>.Empty);
        var nothing = new SwarmHoldings(published.Manifest, new byte[(published.Shards + 7) / 8]);
        var hello = new SyncRequest(self, 1, Full: true, Leaving: false, [], [], [nothing], [], [], 0, 0);
        var answer = await _client.SyncAsync(hello, cancellationToken);
        await _client.SyncAsync(hello with { Sequence = 2, Full = false, Leaving = true, Swarms = [] }, cancellationToken);
        return answer.Scarce is { } scarce && scarce.Manifest == published.Manifest && scarce.Shards.Span.IndexOfAnyExcept((byte)0) < 0;
    }

    public void Dispose() => _client.Dispose();
}
