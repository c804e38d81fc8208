using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;

namespace P2PWeights.Store.Tests.Shards;

/// <summary>What holds for a shard wherever it is kept: the same suite over the memory tier, the disk tier and the files of a pull.</summary>
public abstract class ShardContractTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly StoreFixture _fixture = new();

    private protected StoreFixture Fixture => _fixture;

    private ShardStore Store => _fixture.Store;

    protected abstract Tiers Tier { get; }

    protected abstract long MemoryBytes { get; }

    public static TheoryData<int> EdgeSizes => [1, 4095, 4096, 4097, 64 << 10, (64 << 10) + 1, (1 << 20) - 1, 1 << 20, (16 << 20) - 1, 16 << 20];

    public async Task InitializeAsync() => await _fixture.OpenAsync(MemoryBytes);

    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _fixture.DisposeAsync();
        GC.SuppressFinalize(this);
    }

    [Theory]
    [MemberData(nameof(EdgeSizes))]
    public async Task Shard_of_edge_size_written_is_leased_byte_for_byte(int size)
    {
        var (shard, bytes) = _fixture.NewShard(size);
        await using var folder = OpenFolder(shard);

        await Store.PutAsync(shard, bytes, folder);

        using var lease = await Store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
        Assert.NotNull(lease);
        Assert.Equal(Tier, lease.Value.Tier);
        Assert.Equal(shard, lease.Value.Shard);
        var read = new byte[size];
        await lease.Value.ReadAsync(read, StoreFixture.Deadline);
        Assert.True(bytes.AsSpan().SequenceEqual(read), _fixture.Seeded.ToString());

        // The file position serves sendfile: it must lead to the same bytes.
        var fromFile = new byte[size];
        Assert.Equal(size, await RandomAccess.ReadAsync(lease.Value.File, fromFile, lease.Value.Offset));
        Assert.True(bytes.AsSpan().SequenceEqual(fromFile), _fixture.Seeded.ToString());
        Assert.Equal(Tier == Tiers.Memory, !lease.Value.Memory.IsEmpty);
    }

    [Fact]
    public async Task Wrong_bytes_are_refused_and_nothing_becomes_visible()
    {
        var (shard, bytes) = _fixture.NewShard(100_000);
        await using var folder = OpenFolder(shard);
        bytes[77_777] ^= 1;
        var changes = new List<ShardChange>();
        Store.Changed += changes.Add;

        var failure = await Assert.ThrowsAsync<StoreException>(() => Store.PutAsync(shard, bytes, folder));

        Assert.Equal(StoreError.WrongDigest, failure.Error);
        Assert.Equal(shard.Digest, failure.Shard);
        Assert.False(Store.Contains(shard.Digest));
        Assert.Null(await Store.GetAsync(shard.Digest));
        Assert.Empty(changes);
    }

    [Fact]
    public async Task Shard_is_invisible_until_committed_and_then_announced_once()
    {
        var (shard, bytes) = _fixture.NewShard(50_000);
        await using var folder = OpenFolder(shard);
        var changes = new List<ShardChange>();
        Store.Changed += changes.Add;

        using (var write = await Store.BeginWriteAsync(shard, folder, StoreFixture.Deadline))
        {
            bytes.CopyTo(write.Buffer);
            Assert.False(Store.Contains(shard.Digest));
            await write.CommitAsync(StoreFixture.Deadline);
        }

        Assert.Equal([new ShardChange(shard, Gained: true)], changes);
        Assert.Equal(Tier, Store.Locate(shard.Digest));
        Assert.Equal([shard], Store.List());
    }

    [Fact]
    public async Task Two_writers_of_one_shard_both_succeed()
    {
        var (shard, bytes) = _fixture.NewShard(300_000);
        await using var folder = OpenFolder(shard);
        var changes = new List<ShardChange>();
        Store.Changed += changes.Add;
        using var first = await Store.BeginWriteAsync(shard, folder, StoreFixture.Deadline);
        using var second = await Store.BeginWriteAsync(shard, folder, StoreFixture.Deadline);
        bytes.CopyTo(first.Buffer);
        bytes.CopyTo(second.Buffer);

        await second.CommitAsync(StoreFixture.Deadline);
        await first.CommitAsync(StoreFixture.Deadline);

        Assert.Single(changes);
        Assert.Equal(bytes, await Store.GetAsync(shard.Digest));
    }

    [Fact]
    public async Task Room_of_abandoned_writes_comes_back()
    {
        var (shard, bytes) = _fixture.NewShard(16 << 20);
        await using var folder = OpenFolder(shard);

        for (var i = 0; i < 20; i++)
        {
            using var write = await Store.BeginWriteAsync(shard, folder, StoreFixture.Deadline);
            bytes.AsSpan(0, 100).CopyTo(write.Buffer.Span);
        }

        Assert.All(Store.Usage.Tiers, tier => Assert.Equal(0, tier.Bytes));
        await Store.PutAsync(shard, bytes, folder);
        Assert.Equal(bytes, await Store.GetAsync(shard.Digest));
    }

    [Fact]
    public async Task Evicted_shard_is_gone_and_announced_lost()
    {
        var (shard, bytes) = _fixture.NewShard(200_000);
        await using var folder = OpenFolder(shard);
        await Store.PutAsync(shard, bytes, folder);
        var changes = new List<ShardChange>();
        Store.Changed += changes.Add;

        Assert.Equal(Tier, await Store.EvictAsync(shard.Digest, Tiers.Memory | Tiers.Disk | Tiers.Reference, StoreFixture.Deadline));

        Assert.Equal([new ShardChange(shard, Gained: false)], changes);
        Assert.False(Store.Contains(shard.Digest));
        Assert.All(Store.Usage.Tiers, tier => Assert.Equal((0L, 0L), (tier.Shards, tier.Bytes)));
    }

    [Fact]
    public async Task Pinned_shard_is_not_evicted_until_the_pin_ends()
    {
        var (shard, bytes) = _fixture.NewShard(200_000);
        await using var folder = OpenFolder(shard);
        using (Store.Pin([shard.Digest]))
        {
            await Store.PutAsync(shard, bytes, folder);
            Assert.Equal(Tiers.None, await Store.EvictAsync(shard.Digest, Tier, StoreFixture.Deadline));
            Assert.Equal(1, Store.Usage.Pinned);
        }

        Assert.Equal(Tier, await Store.EvictAsync(shard.Digest, Tier, StoreFixture.Deadline));
        Assert.Equal(0, Store.Usage.Pinned);
    }

    [Fact]
    public async Task Lease_counts_as_out_until_disposed_twice_or_once()
    {
        var (shard, bytes) = _fixture.NewShard(10);
        await using var folder = OpenFolder(shard);
        await Store.PutAsync(shard, bytes, folder);

        var lease = await Store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
        Assert.Equal(1, Store.Usage.Leases);
        lease!.Value.Dispose();
        lease.Value.Dispose();

        Assert.Equal(0, Store.Usage.Leases);
    }

    [Fact]
    public async Task Lease_that_has_ended_reaches_nothing_of_the_next_one()
    {
        var shards = Enumerable.Range(0, 2).Select(_ => _fixture.NewShard(1000)).ToArray();
        await using var folder = OpenFolder([.. shards.Select(shard => shard.Shard)]);
        foreach (var (shard, bytes) in shards)
        {
            await Store.PutAsync(shard, bytes, folder);
        }

        var ended = (await Store.LeaseAsync(shards[0].Shard.Digest, StoreFixture.Deadline))!.Value;
        ended.Dispose();
        using var next = (await Store.LeaseAsync(shards[1].Shard.Digest, StoreFixture.Deadline))!.Value;
        ended.Dispose();

        Assert.Equal(1, Store.Usage.Leases);
        Assert.Equal(shards[1].Shard, next.Shard);
        Assert.Throws<ObjectDisposedException>(() => ended.Offset);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => ended.ReadAsync(new byte[1000], StoreFixture.Deadline).AsTask());
        var read = new byte[1000];
        await next.ReadAsync(read, StoreFixture.Deadline);
        Assert.Equal(shards[1].Bytes, read);
    }

    [Fact]
    public async Task Write_that_has_ended_reaches_nothing_of_the_next_one()
    {
        var shards = Enumerable.Range(0, 2).Select(_ => _fixture.NewShard(1000)).ToArray();
        await using var folder = OpenFolder([.. shards.Select(shard => shard.Shard)]);
        var ended = await Store.BeginWriteAsync(shards[0].Shard, folder, StoreFixture.Deadline);
        ended.Dispose();
        using var next = await Store.BeginWriteAsync(shards[1].Shard, folder, StoreFixture.Deadline);
        ended.Dispose();

        Assert.Throws<ObjectDisposedException>(() => ended.Buffer);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => ended.CommitAsync(StoreFixture.Deadline).AsTask());
        shards[1].Bytes.CopyTo(next.Buffer);
        await next.CommitAsync(StoreFixture.Deadline);
        Assert.Throws<InvalidOperationException>(() => next.Buffer);
        Assert.True(Store.Contains(shards[1].Shard.Digest));
        Assert.False(Store.Contains(shards[0].Shard.Digest));
    }

    /// <summary>The folder that writes go to; null for the tiers.</summary>
    private protected virtual CheckpointFolder? OpenFolder(params ShardInfo[] shards) => null;
}

public sealed class MemoryTierContractTests : ShardContractTests
{
    protected override Tiers Tier => Tiers.Memory;

    protected override long MemoryBytes => 64 << 20;
}

public sealed class DiskTierContractTests : ShardContractTests
{
    protected override Tiers Tier => Tiers.Disk;

    protected override long MemoryBytes => 0;
}

public sealed class FolderContractTests : ShardContractTests
{
    protected override Tiers Tier => Tiers.Reference;

    protected override long MemoryBytes => 64 << 20;

    private protected override CheckpointFolder? OpenFolder(params ShardInfo[] shards)
    {
        // Each shard lies in the middle of one file and is all of another.
        var manifest = Manifest.Create(
            Manifest.DefaultMaxShardBytes,
            [
                .. shards.Select((shard, i) => ($"a/whole{i}.bin", (long)shard.Size, (IReadOnlyList<ShardInfo>)[shard])),
                .. shards.Select((shard, i) => ($"middle{i}.bin", shard.Size + 20L, (IReadOnlyList<ShardInfo>)[Fixture.NewShard(13).Shard, shard, Fixture.NewShard(7).Shard])),
            ],
            [],
            ImmutableDictionary<string, string>.Empty);
        return CheckpointFolder.Open(Fixture["target"], manifest);
    }
}
