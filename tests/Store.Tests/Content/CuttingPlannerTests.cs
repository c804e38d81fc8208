using System.Collections.Immutable;
using FsCheck;
using FsCheck.Fluent;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Content;

public sealed class CuttingPlannerTests
{
    private const int MiB = 1 << 20;
    private const int Max = 16 * MiB;

    [Theory]
    [InlineData(0, new int[0])]
    [InlineData(1, new[] { 1 })]
    [InlineData(Max - 1, new[] { Max - 1 })]
    [InlineData(Max, new[] { Max })]
    [InlineData(Max + 1, new[] { Max, 1 })]
    [InlineData(3L * Max, new[] { Max, Max, Max })]
    public void Plain_file_is_cut_every_limit(long size, int[] expected) => Assert.Equal(expected, CuttingPlanner.CutPlain(size, Max).AsEnumerable());

    [Fact]
    public void Large_tensor_starts_a_shard_and_ends_its_last_one()
    {
        var cuts = Cut(Max, 1000, 500, MiB, 7, 2 * Max + 3, MiB - 1, 1);
        Assert.Equal([1000 + 500, MiB, 7, Max, Max, 3, MiB - 1 + 1], cuts);
    }

    [Fact]
    public void Tensor_just_below_the_border_is_packed_with_its_neighbours()
    {
        Assert.Equal([100 + (MiB - 1) + 5], Cut(Max, 100, MiB - 1, 5));
        Assert.Equal([100, MiB, 5], Cut(Max, 100, MiB, 5));
    }

    [Fact]
    public void Small_tensor_that_does_not_fit_starts_the_next_shard()
    {
        Assert.Equal([100 + 500_000, 600_000, 700_000 + 300_000], Cut(1_000_000, 100, 500_000, 600_000, 700_000, 300_000));
    }

    [Fact]
    public void Header_larger_than_a_shard_is_cut_and_its_rest_is_packed_on() =>
        Assert.Equal([1000, 1000, 300 + 200], Cut(1000, 2300, 200));

    [Fact]
    public void Empty_tensors_cut_nothing() => Assert.Equal([10, MiB], Cut(Max, 10, 0, 0, MiB, 0));

    [Fact]
    public void Extents_cover_the_file_and_are_within_the_limit() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Files(), file =>
        {
            var cuts = Cut(file.Max, file.Header, file.Tensors);
            var limited = cuts.All(cut => cut >= 1 && cut <= file.Max);
            var parts = file.Tensors.Append(file.Header).Count();

            // Two extents side by side that would fit in one stand only at the border of a part: no more of them than parts.
            return limited && cuts.Sum(cut => (long)cut) == file.Header + file.Tensors.Sum() && cuts.Count <= ((file.Header + file.Tensors.Sum()) / file.Max) + (2 * parts);
        }));

    [Fact]
    public void Large_tensor_keeps_its_shards_whatever_surrounds_it() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Files(), Files(), (before, after) =>
        {
            long[] tensors = [.. before.Tensors, (3L * before.Max) + MiB + 17, .. after.Tensors];
            var start = before.Header + before.Tensors.Sum();
            var alone = Cut(before.Max, 8, (3L * before.Max) + MiB + 17).Skip(1);
            return Borders(Cut(before.Max, before.Header, tensors), start, (3L * before.Max) + MiB + 17).SequenceEqual(alone);
        }));

    [Fact]
    public void Small_tensor_is_not_divided_unless_it_exceeds_a_shard() => Check.One(
        Config.QuickThrowOnFailure.WithMaxTest(300),
        Prop.ForAll(Files(), file =>
        {
            var borders = new HashSet<long>();
            var position = 0L;
            foreach (var cut in Cut(file.Max, file.Header, file.Tensors))
            {
                borders.Add(position += cut);
            }

            var start = file.Header;
            foreach (var length in file.Tensors)
            {
                if (length <= file.Max && borders.Any(border => border > start && border < start + length))
                {
                    return false;
                }

                start += length;
            }

            return true;
        }));

    [Fact]
    public void Header_of_another_file_is_refused()
    {
        var header = Header(100, 50, 2 * MiB);
        Assert.Throws<ArgumentException>(() => CuttingPlanner.CutSafetensors(header, 100 + 50 + (2 * MiB) + 1, Max));
        Assert.Throws<ArgumentException>(() => CuttingPlanner.CutSafetensors(header, 100 + 50 + (2 * MiB) - 1, Max));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(Manifest.LargestShardBytes + 1)]
    public void Limit_that_makes_no_sense_is_refused(int max) => Assert.Throws<ArgumentOutOfRangeException>(() => CuttingPlanner.CutPlain(1, max));

    [Fact]
    public void File_of_more_extents_than_a_manifest_holds_is_refused_at_once()
    {
        Assert.Throws<ManifestException>(() => CuttingPlanner.CutPlain(long.MaxValue, Max));
        Assert.Throws<ManifestException>(() => CuttingPlanner.CutSafetensors(Header(8, long.MaxValue - 8), long.MaxValue, Max));
    }

    private sealed record TestFile(int Max, long Header, long[] Tensors);

    private static Arbitrary<TestFile> Files()
    {
        var length = Gen.OneOf(Gen.Choose(0, 3000), Gen.Choose(MiB - 2, MiB + 2), Gen.Choose(0, 3 * MiB), Gen.Constant(2 * MiB), Gen.Choose(0, 40 * MiB));
        return Arb.From(
            from max in Gen.Elements(64 << 10, 1_000_003, MiB, 4 * MiB, Max)
            from header in Gen.Choose(10, 3 * MiB)
            from tensors in Gen.ArrayOf(length.Select(value => (long)value))
            select new TestFile(max, header, tensors));
    }

    private static ImmutableArray<int>.Builder Cut(int max, long header, params long[] tensors) =>
        CuttingPlanner.CutSafetensors(Header(header, tensors), header + tensors.Sum(), max).ToBuilder();

    private static SafetensorsHeader Header(long dataOffset, params long[] lengths)
    {
        var tensors = ImmutableArray.CreateBuilder<SafetensorsTensor>();
        var offset = dataOffset;
        foreach (var length in lengths)
        {
            tensors.Add(new SafetensorsTensor($"t{tensors.Count}", "U8", [length], offset, length));
            offset += length;
        }

        return new SafetensorsHeader(dataOffset, tensors.ToImmutable(), ImmutableDictionary<string, string>.Empty);
    }

    /// <summary>The extents that lie within these bytes of the file; none when they do not start and end there.</summary>
    private static List<int> Borders(IEnumerable<int> cuts, long start, long length)
    {
        var inside = new List<int>();
        var position = 0L;
        foreach (var cut in cuts)
        {
            if (position >= start && position + cut <= start + length)
            {
                inside.Add(cut);
            }

            position += cut;
        }

        return inside;
    }
}
