using P2PWeights.Client.Updating.Pipeline;

namespace P2PWeights.Client.Tests.Updating;

public sealed class StallJudgeTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    [Theory]

    // Nothing else tells.
    [InlineData(0, 1, 2, "", false)]

    // The host's copies into one of the two have stopped as well.
    [InlineData(0, 1, 2, "11", true)]
    [InlineData(0, 1, 2, "00", false)]

    // All that one sends has stopped, or all that comes to one, the other way round too.
    [InlineData(1, 0, 3, "12", false)]
    [InlineData(0, 1, 3, "21", true)]
    [InlineData(0, 1, 3, "21 02 11", true)]
    [InlineData(0, 1, 3, "10 12 02", false)]
    [InlineData(0, 7, 8, "17 27 37 47 57 67", true)]
    [InlineData(7, 0, 8, "71 72 73 74 75 76", false)]
    public void More_that_has_stopped_at_one_end_tells_who_is_at_fault(int from, int to, int devices, string stopped, bool isReceiver)
    {
        TimeSpan Quiet(int sender, int receiver) => (sender, receiver) == (from, to) || stopped.Split(' ').Contains($"{sender}{receiver}") ? Deadline * 0.6 : Deadline * 0.4;

        Assert.Equal(isReceiver, StallJudge.IsReceiverAtFault(from, to, devices, Quiet, Deadline));
    }
}
