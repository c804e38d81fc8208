using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Updating;

/// <summary>Says in which shards the bytes of a checkpoint's files lie. Pure, and thread-safe: what two threads remember is the same.</summary>
internal sealed class ShardMap
{
    private readonly Manifest _manifest;
    private readonly long[]?[] _starts;

    public ShardMap(Manifest manifest)
    {
        _manifest = manifest;
        _starts = new long[]?[manifest.Files.Length];
    }

    /// <summary>The pieces of a bucket, in the order of their places in the slot.</summary>
    public ImmutableArray<ShardPiece> Pieces(Bucket bucket) => Pieces(bucket.Runs);

    /// <summary>The pieces of one tensor, as if it were alone in a slot.</summary>
    public ImmutableArray<ShardPiece> Pieces(TensorInfo tensor) => Pieces([new SourceRun(tensor.File, tensor.Offset, 0, tensor.Length)]);

    /// <summary>The shards of all buckets in the order in which they are needed, each once.</summary>
    public ImmutableArray<int> InOrderOfNeed(UpdatePlan plan) => [.. plan.Buckets.SelectMany(bucket => Pieces(bucket)).Select(piece => piece.Ordinal).Distinct()];

    private ImmutableArray<ShardPiece> Pieces(ImmutableArray<SourceRun> runs)
    {
        var pieces = ImmutableArray.CreateBuilder<ShardPiece>();
        foreach (var run in runs)
        {
            var shards = _manifest.Files[run.File].Shards;
            var starts = StartsOf(run.File);
            var (offset, slotOffset, end) = (run.FileOffset, run.SlotOffset, run.FileOffset + run.Length);
            var found = Array.BinarySearch(starts, offset);
            for (var extent = found >= 0 ? found : ~found - 1; offset < end; extent++)
            {
                var start = (int)(offset - starts[extent]);
                var length = (int)Math.Min(_manifest.Shards[shards[extent]].Size - start, end - offset);
                pieces.Add(new ShardPiece(shards[extent], start, slotOffset, length));
                offset += length;
                slotOffset += length;
            }
        }

        return pieces.ToImmutable();
    }

    private long[] StartsOf(int file)
    {
        if (_starts[file] is { } known)
        {
            return known;
        }

        var shards = _manifest.Files[file].Shards;
        var starts = new long[shards.Length];
        for (var extent = 1; extent < shards.Length; extent++)
        {
            starts[extent] = starts[extent - 1] + _manifest.Shards[shards[extent - 1]].Size;
        }

        return _starts[file] = starts;
    }
}
