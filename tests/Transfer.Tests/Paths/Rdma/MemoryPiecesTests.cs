using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

public sealed class MemoryPiecesTests
{
    private const long Overlap = 16 << 20;

    [Theory]
    [InlineData(0UL)]
    [InlineData(ulong.MaxValue)]
    [InlineData(100UL << 20)]
    public void Region_within_the_limit_is_one_piece(ulong longest) =>
        Assert.Equal([(0L, 100L << 20)], MemoryPieces.Cut(100L << 20, longest, Overlap));

    [Theory]
    [InlineData(100, 40)]
    [InlineData(129, 33)]
    [InlineData(1000, 17)]
    public void Every_shard_of_a_longer_region_lies_within_one_piece(int regionMiB, int longestMiB)
    {
        var length = ((long)regionMiB << 20) - 4096;
        var pieces = MemoryPieces.Cut(length, ((ulong)longestMiB << 20) + 100, Overlap);

        Assert.All(pieces, piece => Assert.InRange(piece.Length, 1, (long)longestMiB << 20));
        for (var start = 0L; start + Overlap <= length; start += 64 << 10)
        {
            Assert.Contains(pieces, piece => piece.Offset <= start && start + Overlap <= piece.Offset + piece.Length);
        }

        Assert.Equal(length, pieces[^1].Offset + pieces[^1].Length);
    }

    [Fact]
    public void Limit_below_two_shards_leaves_no_pieces() => Assert.Empty(MemoryPieces.Cut(100L << 20, 16 << 20, Overlap));
}
