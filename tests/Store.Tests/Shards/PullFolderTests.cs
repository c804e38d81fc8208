using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Store.Tests.Shards;

/// <summary>A pull to a folder, seen from the store: served while it runs, from its final files afterwards, and again after a restart.</summary>
public sealed class PullFolderTests
{
    [Fact]
    public async Task Pulled_shards_are_served_from_the_first_to_after_a_restart_without_a_gap()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var (manifest, shards) = Checkpoint(fixture);
        var lost = new List<ShardChange>();
        store.Changed += change => lost.AddRange(change.Gained ? [] : [change]);
        await using (var folder = CheckpointFolder.Open(fixture["target"], manifest))
        {
            foreach (var (shard, bytes) in shards)
            {
                await store.PutAsync(shard, bytes, folder);
                Assert.Equal(bytes, await store.GetAsync(shard.Digest));
            }

            // Open across the rename: the lease goes on reading the same bytes.
            using var lease = await store.LeaseAsync(shards[0].Shard.Digest, StoreFixture.Deadline);
            foreach (var file in await folder.CompleteAsync(StoreFixture.Deadline))
            {
                await store.ReferenceAsync(file.Path, file.Identity, file.Extents, StoreFixture.Deadline);
            }

            var read = new byte[shards[0].Bytes.Length];
            await lease!.Value.ReadAsync(read, StoreFixture.Deadline);
            Assert.Equal(shards[0].Bytes, read);
        }

        Assert.Empty(lost);
        await AssertServedAsync(store, shards);
        await AssertServedAsync(await fixture.ReopenAsync(memory: 0, disk: 0), shards);
        Assert.Equal(shards.Length + 1, fixture.Store.Usage.Tiers[2].Shards);
    }

    [Fact]
    public async Task Unfinished_pull_is_served_again_once_its_folder_has_been_scanned()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var (manifest, shards) = Checkpoint(fixture);
        await using (var folder = CheckpointFolder.Open(fixture["target"], manifest))
        {
            await store.PutAsync(shards[0].Shard, shards[0].Bytes, folder);
        }

        store = await fixture.ReopenAsync(memory: 0, disk: 0);
        Assert.Empty(store.List());
        await using var resumed = CheckpointFolder.Open(fixture["target"], manifest);
        await resumed.ScanAsync(null, StoreFixture.Deadline);
        await store.AdoptFolderAsync(resumed, StoreFixture.Deadline);

        Assert.Equal([shards[0].Shard], store.List());
        Assert.Equal(shards[0].Bytes, await store.GetAsync(shards[0].Shard.Digest));
        await store.PutAsync(shards[1].Shard, shards[1].Bytes, resumed);
        await store.PutAsync(shards[2].Shard, shards[2].Bytes, resumed);
        foreach (var file in await resumed.CompleteAsync(StoreFixture.Deadline))
        {
            await store.ReferenceAsync(file.Path, file.Identity, file.Extents, StoreFixture.Deadline);
        }

        await AssertServedAsync(store, shards);
    }

    [Fact]
    public async Task Finished_folder_adopted_by_another_node_is_referenced_without_a_gap()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var (manifest, shards) = Checkpoint(fixture);
        await using var folder = CheckpointFolder.Open(fixture["target"], manifest);
        foreach (var (shard, bytes) in shards)
        {
            await store.PutAsync(shard, bytes, folder);
        }

        // Killed between the rename and the reference: the files are final, and no journal tells of them.
        var files = await folder.CompleteAsync(StoreFixture.Deadline);
        store = await fixture.ReopenAsync(memory: 0, disk: 0);
        Assert.Empty(store.List());
        var changes = new List<ShardChange>();
        store.Changed += changes.Add;

        await store.AdoptFolderAsync(folder, StoreFixture.Deadline);
        foreach (var file in files)
        {
            await store.ReferenceAsync(file.Path, file.Identity, file.Extents, StoreFixture.Deadline);
        }

        Assert.All(changes, change => Assert.True(change.Gained));
        Assert.Equal(shards.Length, changes.Count);
        await AssertServedAsync(await fixture.ReopenAsync(memory: 0, disk: 0), shards);
    }

    [Fact]
    public async Task Pull_begun_anew_in_a_folder_that_was_removed_is_not_served_from_the_removed_files()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var (manifest, shards) = Checkpoint(fixture);
        await using (var folder = CheckpointFolder.Open(fixture["target"], manifest))
        {
            await store.PutAsync(shards[0].Shard, shards[0].Bytes, folder);
        }

        Directory.Delete(fixture["target"], recursive: true);
        await using var again = CheckpointFolder.Open(fixture["target"], manifest);
        foreach (var (shard, bytes) in shards.Reverse())
        {
            await store.PutAsync(shard, bytes, again);
        }

        // The removed file, still open here, has zeros where this pull has written the others' bytes.
        foreach (var (shard, bytes) in shards)
        {
            Assert.Equal(bytes, await store.GetAsync(shard.Digest));
        }
    }

    private static (Manifest Manifest, (ShardInfo Shard, byte[] Bytes)[] Shards) Checkpoint(StoreFixture fixture)
    {
        var shards = Enumerable.Range(0, 3).Select(i => fixture.NewShard(100_000 + i)).ToArray();
        var manifest = Manifest.Create(
            Manifest.DefaultMaxShardBytes,
            [
                ("a.bin", 200_001, [shards[0].Shard, shards[1].Shard]),
                ("sub/b.bin", 200_003, [shards[1].Shard, shards[2].Shard]),
            ],
            [],
            ImmutableDictionary<string, string>.Empty);
        return (manifest, shards);
    }

    private static async Task AssertServedAsync(ShardStore store, (ShardInfo Shard, byte[] Bytes)[] shards)
    {
        foreach (var (shard, bytes) in shards)
        {
            Assert.Equal(bytes, await store.GetAsync(shard.Digest));
            Assert.Equal(Tiers.Reference, store.Locate(shard.Digest));
        }
    }
}
