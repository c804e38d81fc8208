using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>What all connections served share.</summary>
/// <param name="maxFileLeases">See <see cref="TransferOptions.MaxFileLeases"/>.</param>
internal sealed class ServingContext(
    ShardStore store, SwarmRegistry swarms, UploadSlots slots, int maxFileLeases, ByteRate uploadRate, TransferMetrics metrics, TimeProvider time, ILogger log)
{
    private long _servedShards;
    private long _servedBytes;

    public ShardStore Store => store;

    public SwarmRegistry Swarms => swarms;

    public UploadSlots Slots => slots;

    public ByteRate UploadRate => uploadRate;

    public TransferMetrics Metrics => metrics;

    public TimeProvider Time => time;

    public ILogger Log => log;

    /// <summary>The upload rate for what is read rather than sent.</summary>
    public GrantRate GrantRate { get; } = new(uploadRate, time);

    /// <summary>What leases on files may keep in the memory tier, over all lanes.</summary>
    public LeaseAllowance Leased { get; } = LeaseAllowance.OfMemory(store.Usage.Tiers.Sum(tier => tier.Tier == Tiers.Memory ? tier.QuotaBytes : 0));

    /// <summary>Leases that keep a file open, and brief ones on the arena.</summary>
    public FairShare<FileHolder> Files { get; } = new(maxFileLeases, WireLimits.MaxOpenFileLeases);

    /// <summary>Connects queue pairs with callers; null when the node has no RDMA.</summary>
    public IQueueListener? Queues { get; init; }

    /// <summary>Shards and bytes served since the start.</summary>
    public (long Shards, long Bytes) Served => (Interlocked.Read(ref _servedShards), Interlocked.Read(ref _servedBytes));

    /// <param name="path">By which the peer has it; see <see cref="PathNames"/>.</param>
    public void CountServed(string path, int bytes)
    {
        Interlocked.Increment(ref _servedShards);
        Interlocked.Add(ref _servedBytes, bytes);
        metrics.Served(path, bytes);
    }
}
