using FsCheck;
using FsCheck.Fluent;
using P2PWeights.Native.Verbs;

namespace P2PWeights.Native.Tests.Verbs;

public sealed class RegionSplitTests
{
    private const long MiB = 1 << 20;

    [Theory]
    [InlineData(1, 1UL, 1)]
    [InlineData(64 * MiB, ulong.MaxValue, 1)]
    [InlineData(64 * MiB, 64UL << 20, 1)]
    [InlineData(64 * MiB + 1, 64UL << 20, 2)]
    [InlineData(64 * MiB, (64UL << 20) - 1, 2)]
    [InlineData(160 * MiB, 48UL << 20, 4)]
    [InlineData(160 * MiB, 63UL << 20, 4)]
    [InlineData(48 * MiB, 16UL << 20, 3)]
    public void Parts_cover_the_range_in_order_and_keep_blocks_whole(long length, ulong limit, int count)
    {
        const long Block = 16 * MiB;
        var parts = RegionSplit.Plan(length, limit, Block);

        Assert.Equal(count, parts.Count);
        long end = 0;
        foreach (var (offset, size) in parts)
        {
            Assert.Equal(end, offset);
            Assert.Equal(0, offset % Block);
            Assert.InRange((ulong)size, 1UL, limit);
            end += size;
        }

        Assert.Equal(length, end);
    }

    [Fact]
    public void A_device_whose_regions_are_smaller_than_a_block_gets_none() => Assert.Empty(RegionSplit.Plan(64 * MiB, 8 << 20, 16 * MiB));

    [Fact]
    public void Any_split_covers_the_range_within_the_limit() =>
        Prop.ForAll<int, int, int>((a, b, c) =>
        {
            long length = 1 + (uint)a % 100_000, alignment = 1 + (uint)c % 100;
            var limit = (ulong)(alignment + (uint)b % 5_000);
            var parts = RegionSplit.Plan(length, limit, alignment);
            return parts.Sum(part => part.Length) == length
                && parts.All(part => part.Length > 0 && (ulong)part.Length <= limit && part.Offset % alignment == 0)
                && parts.Zip(parts.Skip(1)).All(pair => pair.First.Offset + pair.First.Length == pair.Second.Offset);
        }).QuickCheckThrowOnFailure();
}
