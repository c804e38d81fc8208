using P2PWeights.Transfer.Serving;

namespace P2PWeights.Transfer.Tests.Serving;

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
}
