using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Swarms;

public sealed class UploadSlotsTests
{
    private static readonly Guid Old = Guid.NewGuid();

    [Fact]
    public void Slots_kept_for_newcomers_are_not_given_to_a_peer_that_has_some()
    {
        var slots = new UploadSlots(8);
        for (var i = 0; i < 6; i++)
        {
            Assert.True(slots.TryTake(Old));
        }

        Assert.False(slots.TryTake(Old));
        Assert.True(slots.TryTake(Guid.NewGuid()));
        Assert.True(slots.TryTake(Guid.NewGuid()));
        Assert.False(slots.TryTake(Guid.NewGuid()));
    }

    [Fact]
    public void Slot_given_back_can_be_taken_again()
    {
        var slots = new UploadSlots(1);
        Assert.True(slots.TryTake(Old));
        Assert.False(slots.TryTake(Guid.NewGuid()));
        slots.Release(Old);
        Assert.True(slots.TryTake(Guid.NewGuid()));
    }

    [Fact]
    public void Slot_given_back_goes_to_the_peer_that_has_the_fewest_and_then_to_the_longest_wait()
    {
        var slots = new UploadSlots(4);
        Assert.True(slots.TryTake(Old));
        Assert.True(slots.TryTake(Old));
        Assert.True(slots.TryTake(Guid.NewGuid()));
        var newcomer = Guid.NewGuid();
        Assert.True(slots.TryTake(newcomer));
        var (oldAgain, first, second) = (new Waiter(Old), new Waiter(Guid.NewGuid()), new Waiter(Guid.NewGuid()));
        Assert.False(slots.TakeOrWait(oldAgain));
        Assert.False(slots.TakeOrWait(first));
        Assert.False(slots.TakeOrWait(second));

        slots.Release(newcomer);
        Assert.Equal((0, 1, 0), (oldAgain.Grants, first.Grants, second.Grants));
        slots.Release(first.Peer);
        Assert.Equal((0, 1, 1), (oldAgain.Grants, first.Grants, second.Grants));
    }

    [Fact]
    public void Waiter_that_gave_up_gets_no_slot()
    {
        var slots = new UploadSlots(1);
        Assert.True(slots.TryTake(Old));
        var waiter = new Waiter(Guid.NewGuid());
        Assert.False(slots.TakeOrWait(waiter));
        Assert.True(slots.GiveUp(waiter));
        slots.Release(Old);
        Assert.Equal(0, waiter.Grants);
        Assert.True(slots.TryTake(Old));
    }

    [Fact]
    public void Waiter_that_has_its_slot_cannot_give_up()
    {
        var slots = new UploadSlots(1);
        Assert.True(slots.TryTake(Old));
        var waiter = new Waiter(Guid.NewGuid());
        Assert.False(slots.TakeOrWait(waiter));
        slots.Release(Old);
        Assert.False(slots.GiveUp(waiter));
        Assert.Equal(1, waiter.Grants);
    }

    [Theory]
    [InlineData(1, 10)]
    [InlineData(400, 100)]
    [InlineData(60_000, 250)]
    public void Patience_is_a_quarter_of_the_time_that_a_shard_takes_within_bounds(int shardMs, int patienceMs)
    {
        var slots = new UploadSlots(1);
        for (var i = 0; i < 200; i++)
        {
            slots.Held(TimeSpan.FromMilliseconds(shardMs));
        }

        Assert.Equal(patienceMs, slots.Patience.TotalMilliseconds, 1);
    }

    private sealed class Waiter(Guid peer) : IUploadWaiter
    {
        public Guid Peer => peer;

        public int Grants { get; private set; }

        public void Granted() => Grants++;
    }
}
