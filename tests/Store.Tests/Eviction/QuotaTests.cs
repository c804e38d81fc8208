using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Eviction;

public sealed class QuotaTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task Full_memory_tier_evicts_the_least_recently_leased_shard()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 * MiB, disk: 0);
        store.SetReplicaHint(_ => 1);
        var shards = new List<ShardInfo>();
        for (var i = 0; i < 16; i++)
        {
            shards.Add(await PutNewAsync(fixture, MiB));
        }

        (await store.LeaseAsync(shards[0].Digest, StoreFixture.Deadline))!.Value.Dispose();
        shards.Add(await PutNewAsync(fixture, MiB));

        Assert.True(store.Contains(shards[0].Digest));
        Assert.False(store.Contains(shards[1].Digest));
        Assert.True(store.Contains(shards[^1].Digest));
        Assert.True(store.Usage.Tiers[0].Bytes <= 0.9 * 16 * MiB + MiB);
    }

    [Fact]
    public async Task Last_known_replica_moves_from_memory_to_disk_when_there_is_room()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 * MiB, disk: 64 * MiB);
        var first = await PutNewAsync(fixture, 16 * MiB);

        var second = await PutNewAsync(fixture, 16 * MiB);

        Assert.Equal(Tiers.Disk, store.Locate(first.Digest));
        Assert.Equal(Tiers.Memory, store.Locate(second.Digest));
        Assert.NotNull(await store.GetAsync(first.Digest));
    }

    [Fact]
    public async Task Disk_that_takes_nothing_does_not_keep_shards_out_of_memory()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 * MiB, disk: 64 * MiB);
        await PutNewAsync(fixture, 16 * MiB);
        Directory.Delete(Path.Combine(fixture.DataFolder, "shards", "tmp"));

        var second = await PutNewAsync(fixture, 16 * MiB);

        Assert.Equal([second], store.List());
        Assert.Equal(0, store.Usage.Tiers[1].Bytes);
    }

    [Fact]
    public async Task Shard_goes_to_disk_when_all_of_memory_is_pinned()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 * MiB, disk: 64 * MiB);
        var first = await PutNewAsync(fixture, 16 * MiB);
        using var pin = store.Pin([first.Digest]);

        var second = await PutNewAsync(fixture, 16 * MiB);

        Assert.Equal(Tiers.Memory, store.Locate(first.Digest));
        Assert.Equal(Tiers.Disk, store.Locate(second.Digest));
    }

    [Fact]
    public async Task Leased_memory_is_not_reused_before_the_lease_ends()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 * MiB, disk: 0);
        var (shard, bytes) = fixture.NewShard(16 * MiB);
        await store.PutAsync(shard, bytes);
        var (next, nextBytes) = fixture.NewShard(16 * MiB);
        using (var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline))
        {
            var full = await Assert.ThrowsAsync<StoreException>(() => store.PutAsync(next, nextBytes));
            Assert.Equal(StoreError.Full, full.Error);
            Assert.Contains($"{16 * MiB}", full.Message);
            Assert.True(lease!.Value.Memory.Span.SequenceEqual(bytes), fixture.Seeded.ToString());
        }

        await store.PutAsync(next, nextBytes);
        Assert.False(store.Contains(shard.Digest));
    }

    [Fact]
    public async Task Shard_that_finds_no_room_waits_for_leased_memory_to_come_back()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 * MiB, disk: 0, room: TimeSpan.FromMinutes(1));
        var shard = await PutNewAsync(fixture, 16 * MiB);
        var (next, bytes) = fixture.NewShard(16 * MiB);
        var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
        Assert.False(store.IsMemoryWanted);

        var putting = store.PutAsync(next, bytes);
        Assert.True(SpinWait.SpinUntil(() => store.IsMemoryWanted, TimeSpan.FromSeconds(60)));
        Assert.False(putting.IsCompleted);
        lease!.Value.Dispose();
        await putting;

        // What is pinned stays however long somebody waits, so nobody does.
        using var pin = store.Pin([next.Digest]);
        var full = await Assert.ThrowsAsync<StoreException>(() => store.PutAsync(shard, new byte[shard.Size]));
        Assert.Equal(StoreError.Full, full.Error);
    }

    [Fact]
    public async Task Disk_quota_holds_and_least_recently_used_shards_make_room()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 4 * MiB);
        var shards = new List<ShardInfo>();
        for (var i = 0; i < 12; i++)
        {
            shards.Add(await PutNewAsync(fixture, MiB));
            Assert.True(store.Usage.Tiers[1].Bytes <= 4 * MiB);
        }

        Assert.False(store.Contains(shards[0].Digest));
        Assert.True(store.Contains(shards[^1].Digest));
        Assert.Equal(
            store.List().Sum(shard => (long)shard.Size),
            Directory.EnumerateFiles(Path.Combine(fixture.DataFolder, "shards"), "*", SearchOption.AllDirectories).Sum(path => new FileInfo(path).Length));
    }

    [Fact]
    public async Task Shard_larger_than_every_quota_is_refused_with_the_numbers()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 2 * MiB);
        var (shard, _) = fixture.NewShard(3 * MiB);

        var full = await Assert.ThrowsAsync<StoreException>(async () => await store.BeginWriteAsync(shard, null, StoreFixture.Deadline));

        Assert.Equal(StoreError.Full, full.Error);
        Assert.Contains($"{2 * MiB}", full.Message);
        Assert.Contains($"{3 * MiB}", full.Message);
    }

    [Fact]
    public async Task Shard_larger_than_any_block_goes_to_disk()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 64 * MiB, disk: 64 * MiB);

        var shard = await PutNewAsync(fixture, (16 * MiB) + 1);

        Assert.Equal(Tiers.Disk, store.Locate(shard.Digest));
        Assert.NotNull(await store.GetAsync(shard.Digest));
    }

    private static async Task<ShardInfo> PutNewAsync(StoreFixture fixture, int size)
    {
        var (shard, bytes) = fixture.NewShard(size);
        await fixture.Store.PutAsync(shard, bytes);
        return shard;
    }
}
