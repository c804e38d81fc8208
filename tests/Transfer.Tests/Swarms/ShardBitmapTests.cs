using P2PWeights.Testing;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Swarms;

public sealed class ShardBitmapTests
{
    private readonly Seeded _seeded = new();

    [Fact]
    public void Bytes_have_the_first_ordinal_in_the_lowest_bit()
    {
        var bitmap = new ShardBitmap(10);
        bitmap[0] = true;
        bitmap[9] = true;
        Assert.Equal([1, 2], bitmap.ToBytes());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(8)]
    [InlineData(63)]
    [InlineData(65)]
    [InlineData(1001)]
    public void Bitmap_from_its_bytes_is_equal(int length)
    {
        var bitmap = new ShardBitmap(length);
        for (var i = 0; i < length; i++)
        {
            bitmap[i] = _seeded.Random.Next(2) == 0;
        }

        Assert.True(ShardBitmap.TryFromBytes(bitmap.ToBytes(), length, out var read), _seeded.ToString());
        Assert.Equal(bitmap.ToBytes(), read.ToBytes());
        Assert.Equal(Enumerable.Range(0, length).Count(i => bitmap[i]), read.Count());
    }

    [Theory]
    [InlineData(new byte[] { 0xff }, 7)]
    [InlineData(new byte[] { 0x01, 0x00 }, 8)]
    [InlineData(new byte[0], 1)]
    public void Bytes_that_do_not_fit_the_length_are_refused(byte[] bytes, int length) => Assert.False(ShardBitmap.TryFromBytes(bytes, length, out _));

    [Fact]
    public void Changes_visited_are_exactly_the_differences()
    {
        var before = new ShardBitmap(100);
        before[3] = true;
        before[70] = true;
        var now = before.Clone();
        now[3] = false;
        now[99] = true;
        var changes = new List<(int, bool)>();
        now.VisitChanges(before, (ordinal, set) => changes.Add((ordinal, set)));
        Assert.Equal([(3, false), (99, true)], changes);
    }

    [Fact]
    public void Ordinal_outside_reads_as_unset_and_cannot_be_set()
    {
        var bitmap = new ShardBitmap(5);
        Assert.False(bitmap[5]);
        Assert.False(bitmap[-1]);
        Assert.Throws<ArgumentOutOfRangeException>(() => bitmap[5] = true);
    }
}
