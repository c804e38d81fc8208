using FsCheck;
using FsCheck.Fluent;
using P2PWeights.Store.Memory;

namespace P2PWeights.Store.Tests.Memory;

public sealed class BuddyAllocatorTests
{
    private const int Units = 1024; // 64 MiB

    [Theory]
    [InlineData(1, 0)]
    [InlineData(64 << 10, 0)]
    [InlineData((64 << 10) + 1, 1)]
    [InlineData(1 << 20, 4)]
    [InlineData((1 << 20) + 1, 5)]
    [InlineData(16 << 20, 8)]
    [InlineData((16 << 20) + 1, 9)]
    public void Order_is_that_of_the_smallest_block_that_holds_the_bytes(int bytes, int order) =>
        Assert.Equal(order, BuddyAllocator.OrderFor(bytes));

    [Fact]
    public void Any_run_of_allocations_and_frees_never_overlaps_and_ends_whole() =>
        Prop.ForAll(Gen.Choose(-8, 8).ArrayOf().ToArbitrary(), steps =>
        {
            var blocks = new BuddyAllocator(Units);
            var used = new List<(int Unit, int Order)>();
            var taken = new bool[Units];
            foreach (var step in steps)
            {
                if (step >= 0 && blocks.TryAllocate(step, out var unit))
                {
                    Assert.Equal(0, unit % (1 << step));
                    Mark(unit, step, true);
                    used.Add((unit, step));
                }
                else if (used.Count > 0)
                {
                    var (freed, order) = used[Math.Abs(step) % used.Count];
                    used.RemoveAt(Math.Abs(step) % used.Count);
                    blocks.Free(freed);
                    Mark(freed, order, false);
                }

                Assert.Equal(taken.Count(unitTaken => !unitTaken), blocks.FreeUnits);
            }

            // The same layout taken from a fresh allocator, block by block, leaves the same room; overlaps are refused.
            var rebuilt = new BuddyAllocator(Units);
            foreach (var (unit, order) in used)
            {
                Assert.True(rebuilt.TryReserve(unit, order));
                Assert.False(rebuilt.TryReserve(unit, 0));
            }

            Assert.Equal(blocks.FreeUnits, rebuilt.FreeUnits);
            used.ForEach(block => rebuilt.Free(block.Unit));
            used.ForEach(block => blocks.Free(block.Unit));
            AssertWhole(blocks);
            AssertWhole(rebuilt);

            void Mark(int unit, int order, bool isTaken)
            {
                for (var i = unit; i < unit + (1 << order); i++)
                {
                    Assert.NotEqual(isTaken, taken[i]);
                    taken[i] = isTaken;
                }
            }
        }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData(-1, 0)]
    [InlineData(1, 1)]
    [InlineData(Units, 0)]
    [InlineData(Units - 1, 8)]
    [InlineData(0, 9)]
    [InlineData(0, -1)]
    public void Absurd_reservations_are_refused(int unit, int order) => Assert.False(new BuddyAllocator(Units).TryReserve(unit, order));

    [Fact]
    public void Double_free_is_an_error()
    {
        var blocks = new BuddyAllocator(Units);
        Assert.True(blocks.TryAllocate(3, out var unit));
        blocks.Free(unit);

        Assert.Throws<InvalidOperationException>(() => blocks.Free(unit));
    }

    private static void AssertWhole(BuddyAllocator blocks)
    {
        Assert.Equal(Units, blocks.FreeUnits);
        for (var i = 0; i < Units >> BuddyAllocator.MaxOrder; i++)
        {
            Assert.True(blocks.TryAllocate(BuddyAllocator.MaxOrder, out _));
        }
    }
}
