using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

public sealed class ReadPlannerTests
{
    private const int Read = 1 << 20;

    [Theory]
    [InlineData(1, 1)]
    [InlineData(Read - 1, 1)]
    [InlineData(Read, 1)]
    [InlineData(Read + 1, 2)]
    [InlineData(16 << 20, 16)]
    public void Reads_cover_the_range_once_in_order_and_only_the_last_is_short(int length, int count)
    {
        var reads = Plan(7, length, new QueueLoad(true, 10, 0), new QueueLoad(true, 10, 0));

        Assert.Equal(count, reads.Count);
        Assert.Equal(7, reads[0].Offset);
        Assert.All(reads.Zip(reads.Skip(1)), pair => Assert.Equal(pair.First.Offset + pair.First.Length, pair.Second.Offset));
        Assert.All(reads.SkipLast(1), read => Assert.Equal(Read, read.Length));
        Assert.Equal(7 + length, reads[^1].Offset + reads[^1].Length);
    }

    [Fact]
    public void Queues_of_the_same_cost_get_the_same_bytes()
    {
        var reads = Plan(0, 16 << 20, new QueueLoad(true, 10, 0), new QueueLoad(true, 10, 0), new QueueLoad(true, 10, 0), new QueueLoad(true, 10, 0));

        Assert.All(BytesPerQueue(reads, 4), bytes => Assert.Equal(4 << 20, bytes));
    }

    [Fact]
    public void Device_twice_as_dear_gets_half_as_much()
    {
        var reads = Plan(0, 12 << 20, new QueueLoad(true, 10, 0), new QueueLoad(true, 20, 0));

        Assert.Equal([8 << 20, 4 << 20], BytesPerQueue(reads, 2));
    }

    [Fact]
    public void Queue_with_much_to_come_gets_none_until_the_others_have_caught_up()
    {
        var reads = Plan(0, 8 << 20, new QueueLoad(true, 10, 4 << 20), new QueueLoad(true, 10, 0));

        Assert.Equal([2 << 20, 6 << 20], BytesPerQueue(reads, 2));
    }

    [Fact]
    public void Broken_queue_gets_nothing()
    {
        var reads = Plan(0, 4 << 20, new QueueLoad(false, 10, 0), new QueueLoad(true, 40, 1L << 40));

        Assert.Equal([0, 4 << 20], BytesPerQueue(reads, 2));
    }

    [Fact]
    public void Without_a_working_queue_there_is_no_plan()
    {
        var reads = new List<PlannedRead>();

        Assert.False(ReadPlanner.TryPlan(0, 1, Read, [new QueueLoad(false, 10, 0)], reads));
        Assert.Empty(reads);
    }

    private static List<PlannedRead> Plan(int offset, int length, params QueueLoad[] queues)
    {
        var reads = new List<PlannedRead>();
        Assert.True(ReadPlanner.TryPlan(offset, length, Read, queues, reads));
        return reads;
    }

    private static int[] BytesPerQueue(List<PlannedRead> reads, int queues) =>
        [.. Enumerable.Range(0, queues).Select(queue => reads.Where(read => read.Queue == queue).Sum(read => read.Length))];
}
