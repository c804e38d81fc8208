using P2PWeights.Store.Content;
using P2PWeights.Store.Index;
using P2PWeights.Store.Leasing;

namespace P2PWeights.Store.Scrubbing;

/// <summary>Hashes replicas that nobody asked for, at a bounded rate. Wrong ones are dropped by the lease desk, disk files going to quarantine.</summary>
internal sealed class Scrubber(ShardIndex index, LeaseDesk leases, TimeProvider time, StoreMetrics metrics)
{
    private static readonly Tiers[] AllTiers = [Tiers.Memory, Tiers.Disk, Tiers.Reference, Tiers.Gpu];

    /// <summary>See <see cref="ShardStore.ScrubAsync"/>.</summary>
    public async Task<ScrubReport> RunAsync(IReadOnlyCollection<Digest>? shards, long bytesPerSecond, IProgress<ScrubReport>? progress, CancellationToken cancellationToken)
    {
        var report = new ScrubReport(0, 0, []);
        var pace = new Pace(bytesPerSecond, time);
        foreach (var digest in shards ?? [.. index.Snapshot().Select(entry => entry.Digest)])
        {
            foreach (var tier in AllTiers)
            {
                // Looked up again for each tier: replicas come and go while a scrub runs, and one dropped file takes many shards along.
                var record = index.Find(digest);
                if (!record.Has(tier))
                {
                    continue;
                }

                var check = await leases.CheckAsync(digest, tier, cancellationToken).ConfigureAwait(false);
                if (check is null)
                {
                    continue;
                }

                metrics.Scrubbed(record.Size);
                report = new ScrubReport(
                    report.Checked + 1,
                    report.Bytes + record.Size,
                    check.WrongAt is { } where ? [.. report.Wrong, (check.Shard, tier, where)] : report.Wrong);
                progress?.Report(report);
                await pace.SpendAsync(record.Size, cancellationToken).ConfigureAwait(false);
            }
        }

        return report;
    }
}
