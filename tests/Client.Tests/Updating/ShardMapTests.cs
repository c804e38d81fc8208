using P2PWeights.Client.Updating;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Client.Tests.Updating;

public sealed class ShardMapTests
{
    [Fact]
    public void A_run_becomes_one_piece_per_shard_that_it_touches()
    {
        // Two files of shards of 100, 50 and 100 bytes; the second file uses a shard of the first again.
        var (a, b, c) = (Shard(1, 100), Shard(2, 50), Shard(3, 100));
        var manifest = Manifest.Create(1 << 20, [("x", 250, [a, b, c]), ("y", 150, [b, c])], [], []);
        var bucket = new Bucket(0, 512, [], [new SourceRun(0, 90, 0, 80), new SourceRun(1, 0, 256, 60), new SourceRun(0, 100, 320, 50)]);

        var pieces = new ShardMap(manifest).Pieces(bucket);

        Assert.Equal(
            [
                new ShardPiece(0, 90, 0, 10), new ShardPiece(1, 0, 10, 50), new ShardPiece(2, 0, 60, 20),
                new ShardPiece(1, 0, 256, 50), new ShardPiece(2, 0, 306, 10),
                new ShardPiece(1, 0, 320, 50),
            ],
            pieces.AsEnumerable());
    }

    [Fact]
    public void Shards_are_needed_in_the_order_of_the_buckets_each_once()
    {
        var (a, b, c) = (Shard(1, 1000), Shard(2, 1000), Shard(3, 1000));
        SafetensorsTensor[] tensors = [new("layer.10", "U8", [1000], 0, 1000), new("layer.2", "U8", [1000], 1000, 1000), new("layer.9", "U8", [1000], 2000, 1000)];
        var manifest = Manifest.Create(1 << 20, [("x", 3000, [a, b, c])], tensors.Select(tensor => ("x", tensor)), []);
        var plan = BucketPlanner.Plan(manifest.Tensors, ["x"], 1, 1 << 30, new UpdatePlanOptions());

        var order = new ShardMap(manifest).InOrderOfNeed(plan);

        // One bucket, in which bytes lie as in the file.
        Assert.Equal([0, 1, 2], order.AsEnumerable());
        Assert.Equal(["layer.2", "layer.9", "layer.10"], plan.Buckets[0].Tensors.Select(placed => placed.Tensor.Name));
    }

    private static ShardInfo Shard(byte number, int size) => new(Blake3.Hash([number]), size);
}
