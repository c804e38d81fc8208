using P2PWeights.Store.Content;
using P2PWeights.Store.Disk;
using P2PWeights.Store.Index;

namespace P2PWeights.Store.Tests.Disk;

/// <summary>What a reader found wrong may not be there any more when it is dropped.</summary>
public sealed class DiskKeeperTests
{
    [Fact]
    public async Task Replica_stored_after_a_wrong_one_was_seen_is_not_dropped_with_it()
    {
        await using var parts = new Parts();
        var (shard, bytes) = parts.Fixture.NewShard(5000);
        await parts.StoreAsync(shard, bytes);
        using var seen = parts.Tier.TryOpen(shard);
        Assert.True(await parts.Keeper.RemoveAsync(shard.Digest, StoreFixture.Deadline));
        await parts.StoreAsync(shard, bytes);

        Assert.Null(await parts.Keeper.QuarantineAsync(shard, seen, StoreFixture.Deadline));
        Assert.Null(await parts.Keeper.QuarantineAsync(shard, seen: null, StoreFixture.Deadline));

        Assert.Equal(Tiers.Disk, parts.Index.Find(shard.Digest).Tiers);
        Assert.True(File.Exists(parts.Tier.PathOf(shard.Digest)));
    }

    [Fact]
    public async Task Replica_that_was_seen_wrong_goes_to_quarantine()
    {
        await using var parts = new Parts();
        var (shard, bytes) = parts.Fixture.NewShard(5000);
        await parts.StoreAsync(shard, bytes);
        using var seen = parts.Tier.TryOpen(shard);

        var kept = await parts.Keeper.QuarantineAsync(shard, seen, StoreFixture.Deadline);

        Assert.True(File.Exists(kept));
        Assert.False(File.Exists(parts.Tier.PathOf(shard.Digest)));
        Assert.Equal(Tiers.None, parts.Index.Find(shard.Digest).Tiers);
        Assert.Equal(0, parts.Tier.UsedBytes);
    }

    [Fact]
    public async Task Replica_whose_file_is_missing_is_dropped()
    {
        await using var parts = new Parts();
        var (shard, bytes) = parts.Fixture.NewShard(5000);
        await parts.StoreAsync(shard, bytes);
        File.Delete(parts.Tier.PathOf(shard.Digest));

        Assert.Equal(parts.Tier.PathOf(shard.Digest), await parts.Keeper.QuarantineAsync(shard, seen: null, StoreFixture.Deadline));

        Assert.Equal(Tiers.None, parts.Index.Find(shard.Digest).Tiers);
    }

    /// <summary>A disk tier with its index and keeper, without a store around them.</summary>
    private sealed class Parts : IAsyncDisposable
    {
        public Parts()
        {
            Directory.CreateDirectory(Fixture.DataFolder);
            Tier = new DiskTier(Fixture.DataFolder, 1 << 20);
            Index = ShardIndex.Open(Fixture["index"], recover: false, new ChangeQueue());
            Keeper = new DiskKeeper(Tier, Index, TimeProvider.System);
        }

        public StoreFixture Fixture { get; } = new();

        public DiskTier Tier { get; }

        public ShardIndex Index { get; }

        public DiskKeeper Keeper { get; }

        public ValueTask StoreAsync(ShardInfo shard, byte[] bytes) => Keeper.StoreAsync(shard, bytes, Tier.TryReserve(shard.Size)!, StoreFixture.Deadline);

        public async ValueTask DisposeAsync()
        {
            Keeper.Dispose();
            Index.Dispose();
            await Fixture.DisposeAsync();
        }
    }
}
