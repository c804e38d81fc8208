using P2PWeights.Client.Updating;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Tests.Updating;

public sealed class BucketPlannerTests
{
    private const long GiB = 1L << 30;

    [Theory]
    [InlineData("Qwen3-235B", 470, 1)]
    [InlineData("Qwen3-235B", 470, 8)]
    [InlineData("DeepSeek-V3", 673, 8)]
    [InlineData("Kimi-K2", 1029, 8)]
    [InlineData("Kimi-K2", 1029, 16)]
    public void Every_tensor_of_a_real_model_has_one_place_in_layer_order(string model, long gigabytes, int devices)
    {
        var (tensors, files) = TableOf(model);

        var plan = BucketPlanner.Plan(tensors, NamesOf(files), devices, freeBytes: 60 * GiB, new UpdatePlanOptions());

        Assert.InRange(plan.TensorBytes / 1e9, gigabytes * 0.985, gigabytes * 1.015);
        Assert.Equal(tensors.Sum(tensor => tensor.Length), plan.TensorBytes);
        Assert.Equal(tensors.Count, plan.Tensors);
        Assert.InRange(plan.Slots.Count, 3, 4);
        Assert.True(plan.Slots.TotalBytes <= 54 * GiB);
        Assert.Equal(0, plan.Slots.SlotBytes % (256 * devices));
        var names = plan.Buckets.SelectMany(bucket => bucket.Tensors).Select(placed => placed.Tensor.Name).ToList();
        Assert.Equal(tensors.Select(tensor => tensor.Name).Order(TensorNameOrder.Instance), names);
        Assert.All(plan.Buckets, bucket => AssertWellFormed(bucket, plan.Slots, devices));

        // As full as can be: the next tensor would not have fitted.
        for (var next = 1; next < plan.Buckets.Length; next++)
            Assert.True(plan.Buckets[next - 1].Bytes + BucketPlanner.Align(plan.Buckets[next].Tensors[0].Tensor.Length) > plan.Slots.SlotBytes);
    }

    [Fact]
    public void Contiguous_tensors_are_one_run_however_small()
    {
        var (tensors, files) = ModelTables.Qwen3();

        var plan = BucketPlanner.Plan(tensors, NamesOf(files), 8, 60 * GiB, new UpdatePlanOptions());

        // Files are sorted by name, so that layers 10 to 19 stand between 1 and 2: runs are longer than tensors by far all the same.
        var runs = plan.Buckets.Sum(bucket => bucket.Runs.Length);
        Assert.InRange(runs, plan.Buckets.Length, tensors.Count / 10);
    }

    [Fact]
    public void Tensors_of_odd_lengths_start_on_256_bytes_all_the_same()
    {
        TensorInfo[] tensors = [Tensor("a.2", 0, 10, 3), Tensor("a.10", 0, 13, 300), Tensor("a.1", 0, 0, 10), Tensor("a.3", 1, 0, 0)];

        var plan = BucketPlanner.Plan(tensors, ["x", "y"], 2, GiB, new UpdatePlanOptions());

        var bucket = Assert.Single(plan.Buckets);
        Assert.Equal(["a.1", "a.2", "a.3", "a.10"], bucket.Tensors.Select(placed => placed.Tensor.Name));
        Assert.Equal([0L, 256, 1024, 512], bucket.Tensors.Select(placed => placed.Offset));
        Assert.Equal([new SourceRun(0, 0, 0, 10), new SourceRun(0, 10, 256, 3), new SourceRun(0, 13, 512, 300)], bucket.Runs.AsEnumerable());
        Assert.Equal(1024, bucket.Bytes);
        Assert.Equal(313, plan.TensorBytes);
        Assert.Equal((0, 512), bucket.Slice(2, 0));
        Assert.Equal((512, 512), bucket.Slice(2, 1));
        Assert.Equal((1024, 0), bucket.Slice(5, 4));
    }

    [Fact]
    public void A_tensor_larger_than_a_slot_makes_the_slots_as_large()
    {
        var plan = BucketPlanner.Plan([Tensor("big", 0, 0, 3 * GiB), Tensor("small", 0, 3 * GiB, 10)], ["x"], 1, 100 * GiB, new UpdatePlanOptions());

        Assert.Equal(3 * GiB, plan.Slots.SlotBytes);
        Assert.Equal(2, plan.Buckets.Length);
    }

    [Theory]
    [InlineData(100, 4, 1024)] // room for everything
    [InlineData(4, 3, 1024)] // for three of them
    [InlineData(2, 3, 614)] // for three smaller ones
    [InlineData(1, 2, 460)] // the largest tensor has 400 MiB: two
    [InlineData(0.5, 1, 460)] // serial
    public void Short_memory_makes_slots_smaller_and_then_fewer(double freeGiB, int slots, int slotMiB)
    {
        var tensors = Enumerable.Range(0, 300).Select(i => Tensor($"t.{i}", 0, i * (400L << 20), 400L << 20)).ToArray();

        var plan = BucketPlanner.Plan(tensors, ["x"], 2, (long)(freeGiB * GiB), new UpdatePlanOptions());

        Assert.Equal((slots, slotMiB), (plan.Slots.Count, (int)(plan.Slots.SlotBytes >> 20)));
    }

    [Fact]
    public void Too_little_memory_is_refused_with_the_numbers()
    {
        var failure = Assert.Throws<UpdateException>(() => BucketPlanner.Plan([Tensor("t", 0, 0, GiB)], ["x"], 1, GiB, new UpdatePlanOptions()));

        Assert.Contains("the largest tensor takes 1 GiB", failure.Message, StringComparison.Ordinal);
        Assert.Contains("of the 1 GiB that are free", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_small_checkpoint_still_makes_a_pipeline()
    {
        var tensors = Enumerable.Range(0, 1000).Select(i => Tensor($"t.{i}", 0, i * (4L << 20), 4L << 20)).ToArray();

        var plan = BucketPlanner.Plan(tensors, ["x"], 2, 60 * GiB, new UpdatePlanOptions());

        Assert.InRange(plan.Buckets.Length, 60, 70);
        Assert.Equal(4, plan.Slots.Count);
    }

    [Fact]
    public void What_an_engine_cannot_take_is_refused_by_name()
    {
        Assert.Contains("no tensors", Refusal([]), StringComparison.Ordinal);
        Assert.Contains("tensor t is both in x and in y", Refusal([Tensor("t", 0, 0, 8), Tensor("t", 1, 0, 8)]), StringComparison.Ordinal);
        Assert.Contains("tensor t in y has the dtype F4", Refusal([new TensorInfo("t", "F4", [2], 1, 0, 1)]), StringComparison.Ordinal);

        static string Refusal(TensorInfo[] tensors) =>
            Assert.Throws<UpdateException>(() => BucketPlanner.Plan(tensors, ["x", "y"], 1, GiB, new UpdatePlanOptions())).Message;
    }

    [Theory]
    [InlineData("layers.9.w", "layers.10.w")]
    [InlineData("layers.09.w", "layers.10.w")]
    [InlineData("a", "a.1")]
    [InlineData("experts.99999999999999999999.w", "experts.100000000000000000000.w")]
    [InlineData("layers.1.a", "layers.1.b")]
    [InlineData("lm_head.weight", "model.embed_tokens.weight")]
    [InlineData("layers.01", "layers.1")]
    public void Numbers_inside_names_compare_as_numbers(string before, string after)
    {
        Assert.True(TensorNameOrder.Instance.Compare(before, after) < 0);
        Assert.True(TensorNameOrder.Instance.Compare(after, before) > 0);
        Assert.Equal(0, TensorNameOrder.Instance.Compare(before, before));
    }

    private static void AssertWellFormed(Bucket bucket, SlotLayout slots, int devices)
    {
        Assert.InRange(bucket.Bytes, 1, slots.SlotBytes);
        var end = 0L;
        foreach (var placed in bucket.Tensors.OrderBy(placed => placed.Offset))
        {
            Assert.Equal(0, placed.Offset % 256);
            Assert.True(placed.Offset >= end, $"{placed.Tensor.Name} lies on the tensor before it");
            end = placed.Offset + placed.Tensor.Length;
        }

        Assert.Equal(bucket.Bytes, BucketPlanner.Align(end));

        // Each tensor's bytes come from its own place, by exactly one run.
        var runs = bucket.Runs;
        Assert.Equal(bucket.Tensors.Sum(placed => placed.Tensor.Length), runs.Sum(run => run.Length));
        foreach (var placed in bucket.Tensors)
        {
            var run = runs[^1];
            for (var (low, high) = (0, runs.Length - 1); low <= high;)
            {
                var middle = (low + high) / 2;
                (run, low, high) = runs[middle].SlotOffset <= placed.Offset ? (runs[middle], middle + 1, high) : (run, low, middle - 1);
            }

            Assert.Equal(placed.Tensor.File, run.File);
            Assert.Equal(placed.Tensor.Offset - run.FileOffset, placed.Offset - run.SlotOffset);
            Assert.True(placed.Offset + placed.Tensor.Length <= run.SlotOffset + run.Length);
        }

        var slices = Enumerable.Range(0, devices).Select(device => bucket.Slice(devices, device)).ToList();
        Assert.Equal(bucket.Bytes, slices.Sum(slice => slice.Length));
        var next = 0L;
        foreach (var (start, length) in slices)
        {
            Assert.Equal(next, start);
            next = start + length;
        }

        Assert.True(bucket.SliceBytes(devices) * devices <= slots.SlotBytes, "an all-gather of equal parts fits the slot");
    }

    private static (IReadOnlyList<TensorInfo> Tensors, int Files) TableOf(string model) => model switch
    {
        "Qwen3-235B" => ModelTables.Qwen3(),
        "DeepSeek-V3" => ModelTables.DeepSeekV3(),
        _ => ModelTables.KimiK2(),
    };

    private static string[] NamesOf(int files) => [.. Enumerable.Range(0, files).Select(file => $"model-{file}.safetensors")];

    private static TensorInfo Tensor(string name, int file, long offset, long length) => new(name, "U8", [length], file, offset, length);
}
