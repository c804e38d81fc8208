using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Pulling;

/// <summary>
/// What of a checkpoint lay verified in the target folder before the transfer began, and the arithmetic that adds it to what the transfer reports: to the
/// user it is one pull of the whole checkpoint.
/// </summary>
internal sealed class PulledParts
{
    private readonly long _bytesInPlace;
    private readonly long _bytesTotal;
    private readonly int _shardsInPlace;
    private readonly int _shardsTotal;

    /// <param name="inPlace">Per ordinal, whether the folder holds the shard; null without a folder.</param>
    public PulledParts(Manifest manifest, IReadOnlyList<bool>? inPlace)
    {
        var wanted = new List<int>();
        for (var ordinal = 0; ordinal < manifest.Shards.Length; ordinal++)
        {
            var size = manifest.Shards[ordinal].Size;
            _bytesTotal += size;
            if (inPlace is not null && inPlace[ordinal])
            {
                _bytesInPlace += size;
                _shardsInPlace++;
            }
            else
            {
                wanted.Add(ordinal);
            }
        }

        _shardsTotal = manifest.Shards.Length;
        Wanted = wanted;
    }

    /// <summary>Ordinals still to be had.</summary>
    public IReadOnlyList<int> Wanted { get; }

    /// <summary>The whole pull's progress, from that of the transfer.</summary>
    public PullProgress Whole(PullProgress transfer) => transfer with
    {
        BytesDone = transfer.BytesDone + _bytesInPlace,
        BytesTotal = _bytesTotal,
        ShardsDone = transfer.ShardsDone + _shardsInPlace,
        ShardsTotal = _shardsTotal,
    };

    /// <summary>The whole pull's report, from that of the transfer.</summary>
    /// <param name="elapsed">Wall time of the whole, the scan of the folder included.</param>
    public PullReport Whole(PullReport transfer, TimeSpan elapsed) => transfer with
    {
        BytesTotal = _bytesTotal,
        BytesReused = transfer.BytesReused + _bytesInPlace,
        Elapsed = elapsed,
    };

    /// <summary>Where the pull stands before the transfer has said anything.</summary>
    public PullProgress AtStart => Whole(new PullProgress(0, 0, 0, 0, 0, 0));
}
