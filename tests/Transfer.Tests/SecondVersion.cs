using P2PWeights.Store;

namespace P2PWeights.Transfer.Tests;

/// <summary>A second version in which one shard of ten changed, for a node that holds the first.</summary>
internal static class SecondVersion
{
    public const int ShardBytes = 256 << 10;

    private const int Shards = 10;

    /// <summary>Has a node pull both, one after the other, and asserts that of the second only the shard moved that changed, by one path. Nobody has read it yet.</summary>
    /// <returns>The second version, and the path.</returns>
    public static async Task<(TestCheckpoint Checkpoint, PathReport Path)> PullAsync(TestNode source, TestNode node, ShardTarget target = default)
    {
        var first = TestCheckpoint.Uniform(Shards, ShardBytes);
        var second = first.Change(3);
        await source.HoldAsync(first);
        node.Meet(first, source.Info);
        await node.PullAsync(first, target);
        await source.HoldAsync(second, 3);
        node.Meet(second, source.Info);

        var report = await node.PullAsync(second, target);

        Assert.Equal((ShardBytes, (Shards - 1) * ShardBytes), (report.BytesFetched, report.BytesReused));
        return (second, Assert.Single(Assert.Single(report.Sources).Paths));
    }
}
