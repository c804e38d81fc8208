using Microsoft.Extensions.Logging;
using P2PWeights.Client.Sync;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Scrubbing;

/// <summary>Hashes what the node holds again, and fetches from peers what had to be dropped. Repaired shards go to the tiers: files that others own are never written.</summary>
internal sealed class Scrubber(ShardStore store, TransferService transfer, TrackerSync sync, ILogger log)
{
    /// <param name="bytesPerSecond">Read rate; 0 for unlimited.</param>
    public async Task<NodeScrubReport> RunAsync(long bytesPerSecond, IProgress<NodeScrubReport>? progress, CancellationToken cancellationToken)
    {
        var relay = progress is null ? null : new ProgressRelay<ScrubReport>(seen => progress.Report(ToNodeReport(seen, 0, 0)));
        var found = await store.ScrubAsync(null, bytesPerSecond, relay, cancellationToken).ConfigureAwait(false);
        var lost = found.Wrong.Select(wrong => wrong.Shard.Digest).Where(digest => !store.Contains(digest)).ToHashSet();
        foreach (var wrong in found.Wrong)
        {
            NodeLog.ReplicaWrong(log, wrong.Shard.Digest, wrong.Tier, wrong.Where);
        }

        foreach (var (manifest, ordinals) in RepairPlanner.Plan(lost, store.Manifests.Select(store.FindManifest).OfType<Manifest>()))
        {
            await RepairAsync(manifest, ordinals, cancellationToken).ConfigureAwait(false);
        }

        var repaired = lost.Count(store.Contains);
        return ToNodeReport(found, repaired, lost.Count - repaired);
    }

    private async Task RepairAsync(Manifest manifest, IReadOnlyList<int> ordinals, CancellationToken cancellationToken)
    {
        try
        {
            transfer.Join(manifest);
            using var pulling = sync.Pulling(manifest.Digest, () => null);
            await transfer.PullAsync(new PullRequest(manifest, ordinals, default), null, cancellationToken).ConfigureAwait(false);
        }
        catch (TransferException e) when (e.Error == TransferError.NoSources)
        {
            // Counted by the caller: whatever is still missing is unrepaired.
            NodeLog.RepairFailed(log, manifest.Digest, e.Message);
        }
    }

    private static NodeScrubReport ToNodeReport(ScrubReport found, int repaired, int unrepaired) =>
        new(found.Checked, found.Bytes, [.. found.Wrong.Select(wrong => $"shard {wrong.Shard.Digest}: wrong bytes in the {Word(wrong.Tier)} tier ({wrong.Where})")], repaired, unrepaired);

    private static string Word(Tiers tier) => tier.ToString().ToLowerInvariant();
}
