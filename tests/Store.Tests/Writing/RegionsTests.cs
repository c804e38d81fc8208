using P2PWeights.Store.Writing;

namespace P2PWeights.Store.Tests.Writing;

public sealed class RegionsTests : IAsyncLifetime
{
    private readonly StoreFixture _fixture = new();

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync() => await _fixture.DisposeAsync();

    [Theory]
    [InlineData(64 << 20)]
    [InlineData(0)]
    public async Task Buffer_of_every_write_and_memory_of_every_lease_lies_in_a_region(long memory)
    {
        var store = await _fixture.OpenAsync(memory);
        var regions = store.Regions;
        for (var round = 0; round < 20; round++)
        {
            var (shard, bytes) = _fixture.NewShard(16 << 20 >> (round % 3));
            using (var write = await store.BeginWriteAsync(shard, null, StoreFixture.Deadline))
            {
                AssertWithin(regions, write.Buffer);
                bytes.CopyTo(write.Buffer);
                await write.CommitAsync(StoreFixture.Deadline);
            }

            using var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
            if (!lease!.Value.Memory.IsEmpty)
            {
                AssertWithin(regions, lease.Value.Memory);
            }
        }

        Assert.Equal(regions, store.Regions);
    }

    [Fact]
    public async Task Arena_region_leaves_the_nonce_out_and_lies_where_offsets_say()
    {
        var store = await _fixture.OpenAsync();
        var (shard, bytes) = _fixture.NewShard(100_000);
        await store.PutAsync(shard, bytes);
        using var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
        var arena = store.Arena!;
        Assert.True(store.Regions[0].Address >= arena.Address + 4096);
        Assert.Equal(new FileInfo(arena.Path).Length, arena.Length);
        Assert.Equal(arena.Address + (nint)lease!.Value.Offset, AddressOf(lease.Value.Memory));
    }

    [Fact]
    public async Task Slots_do_not_overlap_and_a_shard_above_a_slot_gets_room_too()
    {
        var pool = new StagingPool(slots: 3, slotBytes: 4096);
        var slots = new List<StagingSlot>();
        foreach (var size in (int[])[4096, 100_000, 1])
        {
            slots.Add(await pool.RentAsync(size, StoreFixture.Deadline));
            slots[^1].GetMemory(size).Span.Fill((byte)slots.Count);
        }

        var waiting = pool.RentAsync(1, StoreFixture.Deadline).AsTask();
        Assert.False(waiting.IsCompleted);
        Assert.Equal(-1, slots[0].GetMemory(4096).Span.IndexOfAnyExcept((byte)1));
        Assert.Equal(-1, slots[1].GetMemory(100_000).Span.IndexOfAnyExcept((byte)2));
        Assert.Equal(3, slots[2].GetMemory(1).Span[0]);

        // Rooms that are still out at the end stay usable until they are back.
        pool.Return(slots[1]);
        pool.Return(await waiting);
        pool.Dispose();
        slots[0].GetMemory(4096).Span.Fill(9);
        pool.Return(slots[0]);
        pool.Return(slots[2]);
    }

    [Fact]
    public async Task Slot_that_is_abandoned_is_never_used_again_and_another_takes_its_place()
    {
        var pool = new StagingPool(slots: 1, slotBytes: 4096);
        var lost = await pool.RentAsync(4096, StoreFixture.Deadline);
        lost.GetMemory(4096).Span.Fill(1);
        pool.Abandon(lost);
        for (var round = 0; round < 2; round++)
        {
            var next = await pool.RentAsync(4096, StoreFixture.Deadline);
            next.GetMemory(4096).Span.Fill(2);
            pool.Return(next);
        }

        // A device may write to it whenever it wakes up, after the end of the pool too.
        pool.Dispose();
        Assert.Equal(-1, lost.GetMemory(4096).Span.IndexOfAnyExcept((byte)1));
    }

    private static void AssertWithin(IReadOnlyList<MemoryRegion> regions, ReadOnlyMemory<byte> memory)
    {
        var address = AddressOf(memory);
        Assert.Contains(regions, region => address >= region.Address && address + memory.Length <= region.Address + region.Length);
    }

    private static unsafe nint AddressOf(ReadOnlyMemory<byte> memory)
    {
        using var pinned = memory.Pin();
        return (nint)pinned.Pointer;
    }
}
