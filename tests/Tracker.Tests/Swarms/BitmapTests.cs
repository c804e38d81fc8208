using P2PWeights.Testing;
using P2PWeights.Tracker.Swarms;

namespace P2PWeights.Tracker.Tests.Swarms;

public sealed class BitmapTests
{
    [Fact]
    public void CopyBits_any_places_copies_exactly_those_bits()
    {
        var seeded = new Seeded();
        var bitmap = new Bitmap();
        for (var i = 0; i < 300; i++)
        {
            bitmap.Add(seeded.Random.Next(500));
        }

        for (var round = 0; round < 2000; round++)
        {
            var (first, count, at) = (seeded.Random.Next(600), seeded.Random.Next(400), seeded.Random.Next(200));
            var words = new ulong[10];
            bitmap.CopyBits(first, count, words, at);
            for (var i = 0; i < 640; i++)
            {
                var expected = i >= at && i < at + count && bitmap.Contains(first + i - at);
                Assert.True(expected == ((words[i / 64] >> (i % 64) & 1) != 0), $"bit {i} of ({first}, {count}, {at}), {seeded}");
            }
        }
    }

    [Fact]
    public void Replace_any_place_changes_exactly_those_bits_and_says_which()
    {
        var seeded = new Seeded();
        var bitmap = new Bitmap();
        var model = new HashSet<int>();
        for (var round = 0; round < 3000; round++)
        {
            var (first, count) = (seeded.Random.Next(600), seeded.Random.Next(1, 65));
            var bits = (ulong)seeded.Random.NextInt64(long.MinValue, long.MaxValue);
            bits &= count < 64 ? (1UL << count) - 1 : ulong.MaxValue;
            var changed = bitmap.Replace(first, count, bits);
            for (var i = 0; i < 64; i++)
            {
                var isSet = (bits >> i & 1) != 0;
                var differs = i < count && model.Contains(first + i) != isSet;
                Assert.True(differs == ((changed >> i & 1) != 0), $"bit {i} of ({first}, {count}), {seeded}");
                if (differs && !(isSet ? model.Add(first + i) : model.Remove(first + i)))
                {
                    Assert.Fail("the model disagrees with itself");
                }
            }

            Assert.True(model.Count == bitmap.Count, $"{bitmap.Count} instead of {model.Count}, {seeded}");
        }

        Assert.All(Enumerable.Range(0, 700), i => Assert.Equal(model.Contains(i), bitmap.Contains(i)));
    }

    [Fact]
    public void LowestMissing_finds_the_first_gap_from_a_place_on()
    {
        var bitmap = new Bitmap();
        Assert.Equal(0, bitmap.LowestMissing(0));
        for (var i = 0; i < 130; i++)
        {
            bitmap.Add(i);
        }

        Assert.Equal(130, bitmap.LowestMissing(0));
        bitmap.Remove(70);
        Assert.Equal(70, bitmap.LowestMissing(3));
        Assert.Equal(130, bitmap.LowestMissing(71));
        Assert.Equal(1000, bitmap.LowestMissing(1000));
    }
}
