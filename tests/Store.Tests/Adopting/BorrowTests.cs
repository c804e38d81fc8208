using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Adopting;

/// <summary>Shards held where they lie in the arena of another store.</summary>
[SupportedOSPlatform("linux")]
public sealed class BorrowTests
{
    private const int Size = 3_000_000;

    [Fact]
    public async Task Borrowed_shard_is_read_in_the_owner_s_arena()
    {
        await using var both = await Both.OpenAsync();
        var changes = new List<ShardChange>();
        both.Borrower.Store.Changed += changes.Add;
        var promise = both.Borrow(both.Shard);

        using (var lease = await both.LeaseAsync())
        {
            Assert.NotNull(lease);
            Assert.True(lease.Value.IsBorrowed);
            Assert.True(lease.Value.Memory.IsEmpty);
            Assert.Equal((Tiers.Reference, both.Offset), (lease.Value.Tier, lease.Value.Offset));
            var bytes = new byte[Size];
            await lease.Value.ReadAsync(bytes, StoreFixture.Deadline);
            Assert.True(bytes.AsSpan().SequenceEqual(both.Bytes), both.Borrower.Seeded.ToString());
            var part = new byte[1000];
            await lease.Value.ReadAsync(Size - 1000, part, StoreFixture.Deadline);
            Assert.Equal(both.Bytes[^1000..], part);
        }

        Assert.Equal([new ShardChange(both.Shard, Gained: true)], changes);
        Assert.Equal((1, Size), (both.Borrower.Store.Usage.Tiers[2].Shards, both.Borrower.Store.Usage.Tiers[2].Bytes));
        Assert.Empty((await both.Borrower.Store.ScrubAsync(null, 0, null, StoreFixture.Deadline)).Wrong);
        Assert.Equal(0, promise.Returned);
    }

    [Fact]
    public async Task Many_first_readers_at_once_all_get_the_bytes()
    {
        await using var both = await Both.OpenAsync();
        both.Borrow(both.Shard);

        var read = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => both.Borrower.Store.GetAsync(both.Shard.Digest))));

        Assert.All(read, bytes => Assert.True(bytes.AsSpan().SequenceEqual(both.Bytes), both.Borrower.Seeded.ToString()));
        Assert.Equal(0, both.Borrower.Store.Usage.Leases);
    }

    [Fact]
    public async Task Bytes_that_are_not_the_shard_never_reach_a_reader()
    {
        await using var both = await Both.OpenAsync();
        var lost = Lost(both);
        var promise = both.Borrow(both.Shard);
        using (var own = await both.Owner.Store.LeaseAsync(both.Shard.Digest, StoreFixture.Deadline))
        {
            MemoryMarshal.AsMemory(own!.Value.Memory).Span[5000] ^= 1;
        }

        Assert.Null(await both.LeaseAsync());

        Assert.Equal([both.Shard], lost);
        Assert.False(both.Borrower.Store.Contains(both.Shard.Digest));
        Assert.Equal(1, promise.Returned);
        Assert.Equal(0, both.Borrower.Store.Usage.Tiers[2].Bytes);
    }

    [Fact]
    public async Task Place_that_the_arena_does_not_name_is_not_borrowed()
    {
        await using var both = await Both.OpenAsync();
        var (other, _) = both.Owner.NewShard(Size);
        foreach (var (shard, offset) in ((ShardInfo, long)[])
            [(both.Shard, both.Offset + 1), (both.Shard, both.Offset + 65536), (both.Shard, 0), (both.Shard, -1), (both.Shard, long.MinValue), (both.Shard, long.MaxValue),
             (other, both.Offset), (both.Shard with { Size = Size - 1 }, both.Offset)])
        {
            Assert.Equal(1, both.Refused(shard, offset).Returned);
        }

        File.SetUnixFileMode(both.ArenaPath, File.GetUnixFileMode(both.ArenaPath) | UnixFileMode.OtherWrite);
        using var writable = ForeignArena.TryOpen(both.ArenaPath, out _);
        Assert.False(both.Borrower.Store.Borrow(both.Shard, writable!, both.Offset, new Promise()));
        Assert.False(both.Borrower.Store.Contains(both.Shard.Digest));
    }

    [Fact]
    public async Task Owner_that_breaks_its_promise_is_found_out_by_its_directory()
    {
        await using var both = await Both.OpenAsync();
        both.Borrow(both.Shard);
        using var lease = await both.LeaseAsync();

        Assert.Equal(Tiers.Memory, await both.Owner.Store.EvictAsync(both.Shard.Digest, Tiers.Memory, StoreFixture.Deadline));

        await AssertUnreadableAsync(lease!.Value);
        Assert.Null(await both.LeaseAsync());
    }

    [Fact]
    public async Task Read_after_the_promise_ended_fails_and_the_replica_is_dropped()
    {
        await using var both = await Both.OpenAsync();
        var lost = Lost(both);
        var promise = both.Borrow(both.Shard);
        using (var lease = await both.LeaseAsync())
        {
            promise.IsValid = false;
            await AssertUnreadableAsync(lease!.Value);
            Assert.Null(await both.LeaseAsync());
            Assert.Equal(0, promise.Returned);
        }

        Assert.Equal([both.Shard], lost);
        Assert.Equal(1, promise.Returned);
    }

    [Fact]
    public async Task Read_after_the_owner_opened_its_arena_again_fails_though_the_bytes_are_the_same()
    {
        await using var both = await Both.OpenAsync();
        both.Borrow(both.Shard);
        using var lease = await both.LeaseAsync();

        await both.Owner.ReopenAsync();

        Assert.NotNull(await both.Owner.Store.GetAsync(both.Shard.Digest));
        await AssertUnreadableAsync(lease!.Value);
        Assert.Null(await both.LeaseAsync());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    [InlineData(8 << 20)]
    public async Task Arena_cut_short_is_an_error_and_not_the_end_of_the_process(long length)
    {
        await using var both = await Both.OpenAsync();
        both.Borrow(both.Shard);
        using var lease = await both.LeaseAsync();
        await both.Owner.CloseAsync();
        File.WriteAllBytes(both.ArenaPath, File.ReadAllBytes(both.ArenaPath)[..(int)Math.Min(length, both.Offset + (Size / 2))]);

        await AssertUnreadableAsync(lease!.Value);
        Assert.Null(await both.LeaseAsync());
        Assert.False(await both.Borrower.Store.KeepBorrowedAsync(both.Shard.Digest, StoreFixture.Deadline));
    }

    [Theory]
    [InlineData(64 << 20, Tiers.Memory)]
    [InlineData(0, Tiers.Disk)]
    public async Task Kept_shard_is_copied_even_when_the_promise_has_ended(long memory, Tiers kept)
    {
        await using var both = await Both.OpenAsync(memory);
        var lost = Lost(both);
        var promise = both.Borrow(both.Shard);
        promise.IsValid = false;

        Assert.True(await both.Borrower.Store.KeepBorrowedAsync(both.Shard.Digest, StoreFixture.Deadline));

        Assert.Equal(kept, both.Borrower.Store.Locate(both.Shard.Digest));
        Assert.True((await both.Borrower.Store.GetAsync(both.Shard.Digest)).AsSpan().SequenceEqual(both.Bytes));
        Assert.Equal(1, promise.Returned);
        Assert.Empty(lost);
    }

    [Fact]
    public async Task Shard_whose_bytes_are_gone_or_have_no_room_is_not_kept()
    {
        await using var both = await Both.OpenAsync(memory: 0, disk: 0);
        var lost = Lost(both);
        var promise = both.Borrow(both.Shard);

        Assert.False(await both.Borrower.Store.KeepBorrowedAsync(both.Shard.Digest, StoreFixture.Deadline));

        Assert.Equal([both.Shard], lost);
        Assert.Equal(1, promise.Returned);

        await using var overwritten = await Both.OpenAsync();
        overwritten.Borrow(overwritten.Shard);
        await overwritten.Owner.ReopenAsync(memory: 16 << 20);
        Assert.False(await overwritten.Borrower.Store.KeepBorrowedAsync(overwritten.Shard.Digest, StoreFixture.Deadline));
        Assert.Equal(Tiers.None, overwritten.Borrower.Store.Locate(overwritten.Shard.Digest));
    }

    [Fact]
    public async Task Promise_is_given_back_when_the_last_reader_is_through()
    {
        await using var both = await Both.OpenAsync();
        var promise = both.Borrow(both.Shard);
        var lease = await both.LeaseAsync();

        Assert.Equal(Tiers.Reference, await both.Borrower.Store.EvictAsync(both.Shard.Digest, Tiers.Reference, StoreFixture.Deadline));

        Assert.Equal(0, promise.Returned);
        var bytes = new byte[Size];
        await lease!.Value.ReadAsync(bytes, StoreFixture.Deadline);
        lease.Value.Dispose();
        Assert.Equal(1, promise.Returned);
    }

    [Fact]
    public async Task File_of_one_s_own_takes_the_place_of_a_borrowed_range()
    {
        await using var both = await Both.OpenAsync();
        var promise = both.Borrow(both.Shard);
        File.WriteAllBytes(both.Borrower["weights.bin"], both.Bytes);
        using (var file = File.OpenHandle(both.Borrower["weights.bin"]))
        {
            await both.Borrower.Store.ReferenceAsync(both.Borrower["weights.bin"], FileIdentity.Of(file), [new FileExtent(both.Shard, 0)], StoreFixture.Deadline);
        }

        Assert.Equal(1, promise.Returned);
        using var lease = await both.LeaseAsync();
        Assert.False(lease!.Value.IsBorrowed);
        Assert.Equal((1, Size), (both.Borrower.Store.Usage.Tiers[2].Shards, both.Borrower.Store.Usage.Tiers[2].Bytes));
    }

    [Fact]
    public async Task Shard_that_is_held_already_is_not_borrowed()
    {
        await using var both = await Both.OpenAsync();
        await both.Borrower.Store.PutAsync(both.Shard, both.Bytes);

        var promise = both.Borrow(both.Shard);

        Assert.Equal(1, promise.Returned);
        Assert.Equal(Tiers.Memory, both.Borrower.Store.Locate(both.Shard.Digest));
    }

    [Fact]
    public async Task Borrowing_ends_with_the_store()
    {
        await using var both = await Both.OpenAsync();
        var promise = both.Borrow(both.Shard);

        var store = await both.Borrower.ReopenAsync();

        Assert.Equal(1, promise.Returned);
        Assert.False(store.Contains(both.Shard.Digest));
    }

    private static async Task AssertUnreadableAsync(ShardLease lease) =>
        Assert.Equal(StoreError.Io, (await Assert.ThrowsAsync<StoreException>(() => lease.ReadAsync(new byte[Size], StoreFixture.Deadline).AsTask())).Error);

    private static List<ShardInfo> Lost(Both both)
    {
        var lost = new List<ShardInfo>();
        both.Borrower.Store.Changed += change => lost.AddRange(change.Gained ? [] : [change.Shard]);
        return lost;
    }

    /// <summary>A store with one shard in its arena, and another store on the same host.</summary>
    private sealed class Both : IAsyncDisposable
    {
        private ForeignArena _arena = null!;

        public StoreFixture Owner { get; } = new();

        public StoreFixture Borrower { get; } = new();

        public ShardInfo Shard { get; private set; }

        public byte[] Bytes { get; private set; } = [];

        public long Offset { get; private set; }

        public string ArenaPath { get; private set; } = "";

        public static async Task<Both> OpenAsync(long memory = 64 << 20, long disk = 1L << 30)
        {
            var both = new Both();
            await both.Owner.OpenAsync();
            await both.Borrower.OpenAsync(memory, disk);
            (both.Shard, both.Bytes) = both.Owner.NewShard(Size);
            await both.Owner.Store.PutAsync(both.Shard, both.Bytes);
            using (var lease = await both.Owner.Store.LeaseAsync(both.Shard.Digest, StoreFixture.Deadline))
            {
                both.Offset = lease!.Value.Offset;
            }

            both.ArenaPath = both.Owner.Store.Arena!.Path;
            both._arena = ForeignArena.TryOpen(both.ArenaPath, out var problem) ?? throw new InvalidOperationException(problem);
            Assert.Equal(both.Owner.Store.Arena.Nonce, both._arena.Nonce);
            return both;
        }

        public Promise Borrow(ShardInfo shard)
        {
            var promise = new Promise();
            Assert.True(Borrower.Store.Borrow(shard, _arena, Offset, promise));
            return promise;
        }

        public Promise Refused(ShardInfo shard, long offset)
        {
            var promise = new Promise();
            Assert.False(Borrower.Store.Borrow(shard, _arena, offset, promise), $"{shard} at {offset}");
            return promise;
        }

        public ValueTask<ShardLease?> LeaseAsync() => Borrower.Store.LeaseAsync(Shard.Digest, StoreFixture.Deadline);

        public async ValueTask DisposeAsync()
        {
            _arena.Dispose();
            await Borrower.DisposeAsync();
            await Owner.DisposeAsync();
        }
    }
}
