using P2PWeights.Store.Content;
using P2PWeights.Store.Tests.References;

namespace P2PWeights.Store.Tests.Index;

/// <summary>What is in the store after it was closed, or its files were damaged.</summary>
public sealed class RecoveryTests
{
    [Fact]
    public async Task Shards_of_all_tiers_and_the_node_id_are_there_after_a_restart()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync();
        var nodeId = store.NodeId;
        await FillAsync(fixture);
        var before = Contents(store);

        store = await fixture.ReopenAsync();

        Assert.Equal(nodeId, store.NodeId);
        Assert.Equal(before, Contents(store));
        foreach (var shard in store.List())
        {
            Assert.NotNull(await store.GetAsync(shard.Digest));
        }
    }

    [Theory]
    [InlineData("removed")]
    [InlineData("unsealed")]
    [InlineData("bit flipped")]
    [InlineData("garbage")]
    public async Task Index_rebuilt_from_the_tiers_alone_equals_the_live_one(string damage)
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync();
        await FillAsync(fixture);
        var (live, usage) = (Contents(store), store.Usage.Tiers);
        await fixture.CloseAsync();
        var index = Path.Combine(fixture.DataFolder, "index");
        var files = Directory.GetFiles(index, "*", SearchOption.AllDirectories);
        switch (damage)
        {
            case "removed":
                Directory.Delete(index, recursive: true);
                break;
            case "unsealed":
                File.Delete(Path.Combine(index, "seal"));
                break;
            case "bit flipped":
                ReferenceTests.Flip(files.Where(file => Path.GetDirectoryName(file) != index).MaxBy(file => new FileInfo(file).Length)!, 1000);
                break;
            default:
                Array.ForEach(files, file => File.WriteAllBytes(file, fixture.Seeded.Bytes(5000)));
                break;
        }

        store = await fixture.OpenAsync();

        Assert.Equal(live, Contents(store));
        Assert.Equal(usage, store.Usage.Tiers);
    }

    [Fact]
    public async Task Last_use_survives_a_restart_so_that_eviction_goes_on_where_it_was()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 4 << 20);
        var shards = new List<ShardInfo>();
        for (var i = 0; i < 4; i++)
        {
            var (shard, bytes) = fixture.NewShard(1 << 20);
            await store.PutAsync(shard, bytes);
            shards.Add(shard);
        }

        // The first is used last, so the second is the oldest.
        Assert.NotNull(await store.GetAsync(shards[0].Digest));
        store = await fixture.ReopenAsync(memory: 0, disk: 4 << 20);
        var (next, nextBytes) = fixture.NewShard(1 << 20);
        await store.PutAsync(next, nextBytes);

        Assert.True(store.Contains(shards[0].Digest));
        Assert.False(store.Contains(shards[1].Digest));
    }

    [Fact]
    public async Task Files_that_appeared_or_vanished_on_disk_while_the_node_was_down_are_noticed()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var (kept, keptBytes) = fixture.NewShard(5000);
        var (vanished, vanishedBytes) = fixture.NewShard(6000);
        await store.PutAsync(kept, keptBytes);
        await store.PutAsync(vanished, vanishedBytes);
        await fixture.CloseAsync();
        var (appeared, appearedBytes) = fixture.NewShard(7000);
        File.Delete(PathOf(vanished));
        await File.WriteAllBytesAsync(PathOf(appeared), appearedBytes);
        await File.WriteAllTextAsync(Path.Combine(fixture.DataFolder, "shards", "ab", "notes.txt"), "not ours");
        await File.WriteAllBytesAsync(Path.Combine(fixture.DataFolder, "shards", "tmp", "left"), keptBytes);

        store = await fixture.OpenAsync(memory: 0);

        Assert.Equal(new HashSet<ShardInfo> { kept, appeared }, store.List().ToHashSet());
        Assert.Equal(appearedBytes, await store.GetAsync(appeared.Digest));
        Assert.False(File.Exists(Path.Combine(fixture.DataFolder, "shards", "tmp", "left")));

        string PathOf(ShardInfo shard) => Path.Combine(fixture.DataFolder, "shards", shard.Digest.ToString()[..2], shard.Digest.ToString());
    }

    [Fact]
    public async Task Journal_torn_at_its_end_loses_nothing_committed()
    {
        await using var fixture = new StoreFixture();
        await fixture.OpenAsync(memory: 0);
        var extents = await ReferenceTests.PublishAsync(fixture, "weights.bin", 1000, 2000, 3000);
        await fixture.CloseAsync();

        // What a crash in the middle of an append leaves: bytes after the last commit.
        var log = Directory.GetFiles(Path.Combine(fixture.DataFolder, "journal"), "journal.log*").Single();
        await using (var file = new FileStream(log, FileMode.Append))
        {
            await file.WriteAsync(fixture.Seeded.Bytes(777));
        }

        var store = await fixture.OpenAsync(memory: 0);

        Assert.Equal(extents.Select(extent => extent.Shard).ToHashSet(), store.List().ToHashSet());
    }

    [Fact]
    public async Task Journal_of_garbage_costs_the_references_and_nothing_else()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        await ReferenceTests.PublishAsync(fixture, "weights.bin", 1000, 2000);
        var (shard, bytes) = fixture.NewShard(5000);
        await store.PutAsync(shard, bytes);
        await fixture.CloseAsync();
        foreach (var file in Directory.GetFiles(Path.Combine(fixture.DataFolder, "journal"), "*", SearchOption.AllDirectories))
        {
            await File.WriteAllBytesAsync(file, fixture.Seeded.Bytes((int)new FileInfo(file).Length));
        }

        store = await fixture.OpenAsync(memory: 0);

        Assert.Equal([shard], store.List());
        var again = await ReferenceTests.PublishAsync(fixture, "weights.bin", 1000);
        store = await fixture.ReopenAsync(memory: 0);
        Assert.True(store.Contains(again[0].Shard.Digest));
    }

    [Fact]
    public async Task Arena_of_another_size_is_made_anew()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 << 20);
        var (shard, bytes) = fixture.NewShard(5000);
        await store.PutAsync(shard, bytes);

        store = await fixture.ReopenAsync(memory: 32 << 20);

        Assert.Empty(store.List());
        Assert.Equal(32 << 20, store.Usage.Tiers[0].QuotaBytes);
        Assert.Equal(0, store.Usage.Tiers[0].Bytes);
    }

    [Fact]
    public async Task Arena_directory_of_garbage_is_cleared_entry_by_entry()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 << 20);
        var (shard, bytes) = fixture.NewShard(5000);
        await store.PutAsync(shard, bytes);
        await fixture.CloseAsync();

        // Entries 1 to 255 of the directory; entry 0 is the shard's.
        var arena = Directory.GetFiles(fixture.ArenaRoot, "arena", SearchOption.AllDirectories).Single();
        using (var file = File.OpenHandle(arena, FileMode.Open, FileAccess.ReadWrite))
        {
            RandomAccess.Write(file, fixture.Seeded.Bytes(255 * 64), 4096 + 64);
            foreach (var entry in (int[])[1, 2, 3])
            {
                // Live, and as large as the arena: overlaps everything after it.
                RandomAccess.Write(file, [.. BitConverter.GetBytes(16 << 20), .. BitConverter.GetBytes(1)], 4096 + (64 * entry) + 32);
            }
        }

        store = await fixture.OpenAsync(memory: 16 << 20);

        Assert.Equal([shard], store.List());
        Assert.Equal(bytes, await store.GetAsync(shard.Digest));
        Assert.Equal(64 << 10, store.Usage.Tiers[0].Bytes);
    }

    private static async Task FillAsync(StoreFixture fixture)
    {
        foreach (var size in (int[])[1, 70_000, 4096, 1 << 20])
        {
            var (shard, bytes) = fixture.NewShard(size);
            await fixture.Store.PutAsync(shard, bytes);
        }

        // Too large for a block, so on disk.
        for (var i = 0; i < 2; i++)
        {
            var (shard, bytes) = fixture.NewShard((16 << 20) + 1 + i);
            await fixture.Store.PutAsync(shard, bytes);
        }

        var references = await ReferenceTests.PublishAsync(fixture, "weights.bin", 1000, 2000, 3000);
        await fixture.Store.EvictAsync(references[1].Shard.Digest, Tiers.Reference, StoreFixture.Deadline);
        await ReferenceTests.PublishAsync(fixture, "more.bin", 4000);
    }

    private static SortedDictionary<Digest, (int Size, Tiers Tiers)> Contents(ShardStore store) =>
        new(store.List().ToDictionary(shard => shard.Digest, shard => (shard.Size, store.Locate(shard.Digest))));
}
