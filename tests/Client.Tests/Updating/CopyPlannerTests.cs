using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Pipeline;

namespace P2PWeights.Client.Tests.Updating;

public sealed class CopyPlannerTests
{
    private const int Block = CopyPlanner.BlockBytes;
    private const int Large = CopyPlanner.SmallPieceBytes;

    [Fact]
    public void Large_pieces_of_the_arena_go_straight_and_small_neighbours_together()
    {
        ShardPiece[] pieces = [new(0, 0, 0, Large), new(1, 7, Large, 100), new(2, 0, Large + 256, 300), new(3, 0, Large + 768, Large), new(4, 0, (2 * Large) + 768, 10)];

        var copies = CopyPlanner.Plan(pieces, 0, long.MaxValue / 2, _ => true);

        Assert.Equal([false, true, false, true], copies.Select(copy => copy.IsStaged));
        Assert.Equal([1, 2, 1, 1], copies.Select(copy => copy.Pieces.Count));
        Assert.Equal((Large, 556), (copies[1].SlotOffset, copies[1].Length));
    }

    [Fact]
    public void Pieces_of_files_are_staged_in_blocks()
    {
        ShardPiece[] pieces = [new(0, 5, 0, (2 * Block) + 10), new(1, 0, (2 * Block) + 256, 1000)];

        var copies = CopyPlanner.Plan(pieces, 0, long.MaxValue / 2, _ => false);

        Assert.All(copies, copy => Assert.True(copy.IsStaged && copy.Length <= Block));
        Assert.Equal([(0L, Block), (Block, Block), (2L * Block, 1256)], copies.Select(copy => (copy.SlotOffset, copy.Length)));
        Assert.Equal([5, 5 + Block, 5 + (2 * Block)], copies.Select(copy => copy.Pieces[0].Start));
    }

    [Fact]
    public void Slices_together_bring_every_byte_once_and_only_from_its_place()
    {
        var random = new Random(7);
        var pieces = new List<ShardPiece>();
        var offset = 0L;
        for (var i = 0; i < 200; i++)
        {
            var length = random.Next(1, random.Next(2) == 0 ? 2000 : 3 * Large);
            pieces.Add(new ShardPiece(i, random.Next(1000), offset, length));
            offset += length + random.Next(2) * random.Next(256);
        }

        var bucket = new Bucket(0, BucketPlanner.Align(offset), [], []);
        // Where in its shard each byte came from, counted over all shards; a plain loop, for tens of millions of bytes.
        var source = new long[offset];
        foreach (var devices in new[] { 1, 2, 3, 8 })
        {
            Array.Fill(source, -1);
            for (var device = 0; device < devices; device++)
            {
                var (start, length) = bucket.Slice(devices, device);
                foreach (var copy in CopyPlanner.Plan(pieces.ToArray(), start, length, ordinal => ordinal % 3 > 0))
                {
                    Assert.True(copy.SlotOffset >= start && copy.SlotOffset + copy.Length <= start + length, "a copy stays in its slice");
                    foreach (var piece in copy.Pieces)
                    {
                        var target = source.AsSpan((int)piece.SlotOffset, piece.Length);
                        Assert.False(target.ContainsAnyExcept(-1), $"bytes at {piece.SlotOffset} are brought once");
                        for (var i = 0; i < target.Length; i++)
                        {
                            target[i] = Origin(piece, i);
                        }
                    }
                }
            }

            Assert.All(pieces, piece =>
            {
                var wrong = 0;
                for (var i = 0; i < piece.Length; i++)
                {
                    wrong += source[piece.SlotOffset + i] == Origin(piece, i) ? 0 : 1;
                }

                Assert.Equal(0, wrong);
            });
        }

        static long Origin(ShardPiece piece, int at) => ((long)piece.Ordinal << 32) + piece.Start + at;
    }
}
