using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Leasing;

public sealed class LeaseInMemoryTests : IAsyncLifetime
{
    private const long ArenaBytes = 32 << 20;

    private readonly StoreFixture _fixture = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _fixture.DisposeAsync();

    [Fact]
    public async Task Shard_that_only_a_file_holds_is_brought_to_memory_and_leased_there()
    {
        var store = await _fixture.OpenAsync(ArenaBytes);
        var (shard, bytes) = await ReferenceAsync(store, 300_000);

        using var lease = await store.LeaseInMemoryAsync(shard.Digest, StoreFixture.Deadline);

        Assert.NotNull(lease);
        Assert.Equal(Tiers.Memory, lease.Value.Tier);
        Assert.Equal(store.Arena!.Path, lease.Value.Path);
        Assert.True(lease.Value.Memory.Span.SequenceEqual(bytes), _fixture.Seeded.ToString());
        Assert.Equal(Tiers.Memory | Tiers.Reference, store.Locate(shard.Digest));
        Assert.False((await store.EvictAsync(shard.Digest, Tiers.Memory, StoreFixture.Deadline)).HasFlag(Tiers.Memory));
    }

    [Fact]
    public async Task Many_who_want_a_shard_at_once_share_one_block()
    {
        var store = await _fixture.OpenAsync(ArenaBytes);
        var (shard, _) = await ReferenceAsync(store, 16 << 20);

        // The arena has two such blocks: were each copy brought for itself, most would find no room.
        var leases = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(() => store.LeaseInMemoryAsync(shard.Digest, StoreFixture.Deadline).AsTask())));

        Assert.All(leases, lease => Assert.Equal(leases[0]!.Value.Offset, lease!.Value.Offset));
        Assert.Equal(16 << 20, store.Usage.Tiers.Single(tier => tier.Tier == Tiers.Memory).Bytes);
        Array.ForEach(leases, lease => lease!.Value.Dispose());
    }

    [Fact]
    public async Task Full_memory_is_refused_while_it_is_leased_and_used_again_after()
    {
        var store = await _fixture.OpenAsync(ArenaBytes);
        var shards = new[] { await ReferenceAsync(store, 16 << 20), await ReferenceAsync(store, 9 << 20), await ReferenceAsync(store, 10 << 20) };
        var first = await store.LeaseInMemoryAsync(shards[0].Shard.Digest, StoreFixture.Deadline);
        using var second = await store.LeaseInMemoryAsync(shards[1].Shard.Digest, StoreFixture.Deadline);

        var failure = await Assert.ThrowsAsync<StoreException>(() => store.LeaseInMemoryAsync(shards[2].Shard.Digest, StoreFixture.Deadline).AsTask());
        Assert.Equal(StoreError.Full, failure.Error);

        first!.Value.Dispose();
        using var third = await store.LeaseInMemoryAsync(shards[2].Shard.Digest, StoreFixture.Deadline);
        Assert.NotNull(third);
    }

    [Fact]
    public async Task File_that_changed_since_it_was_proved_is_never_leased_in_memory()
    {
        var store = await _fixture.OpenAsync(ArenaBytes);
        var (shard, bytes) = await ReferenceAsync(store, 200_000);
        var path = _fixture[shard.Digest.ToString()];
        var modified = File.GetLastWriteTimeUtc(path);
        bytes[5] ^= 1;
        File.WriteAllBytes(path, bytes);

        // The guard of identities sees nothing; only hashing does.
        File.SetLastWriteTimeUtc(path, modified);
        Assert.Null(await store.LeaseInMemoryAsync(shard.Digest, StoreFixture.Deadline));
        Assert.False(store.Contains(shard.Digest));
    }

    [Fact]
    public async Task Store_without_a_memory_tier_says_so()
    {
        var store = await _fixture.OpenAsync(memory: 0);
        var (shard, _) = await ReferenceAsync(store, 1000);
        var failure = await Assert.ThrowsAsync<StoreException>(() => store.LeaseInMemoryAsync(shard.Digest, StoreFixture.Deadline).AsTask());
        Assert.Equal(StoreError.Full, failure.Error);
        Assert.Null(store.Arena);
    }

    [Fact]
    public async Task Shard_that_is_not_held_is_null()
    {
        var store = await _fixture.OpenAsync(ArenaBytes);
        Assert.Null(await store.LeaseInMemoryAsync(_fixture.NewShard(100).Shard.Digest, StoreFixture.Deadline));
    }

    [Fact]
    public async Task Lease_of_a_finished_file_has_its_path_and_that_of_a_shard_on_disk_too()
    {
        var store = await _fixture.OpenAsync(memory: 0);
        var (referenced, bytes) = await ReferenceAsync(store, 5000);
        using var reference = await store.LeaseAsync(referenced.Digest, StoreFixture.Deadline);
        Assert.Equal(bytes, await File.ReadAllBytesAsync(reference!.Value.Path));
        Assert.False(reference.Value.IsUnfinished);
        var (stored, storedBytes) = _fixture.NewShard(7000);
        await store.PutAsync(stored, storedBytes);
        using var onDisk = await store.LeaseAsync(stored.Digest, StoreFixture.Deadline);
        Assert.Equal(storedBytes, await File.ReadAllBytesAsync(onDisk!.Value.Path));
    }

    private async Task<(ShardInfo Shard, byte[] Bytes)> ReferenceAsync(ShardStore store, int size)
    {
        var (shard, bytes) = _fixture.NewShard(size);
        var path = _fixture[shard.Digest.ToString()];
        await File.WriteAllBytesAsync(path, bytes);
        using var file = PosixFile.OpenRead(path, followSymlinks: false);
        await store.ReferenceAsync(path, FileIdentity.Of(file), [new FileExtent(shard, 0)], StoreFixture.Deadline);
        return (shard, bytes);
    }
}
