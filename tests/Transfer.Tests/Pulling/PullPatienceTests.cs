using P2PWeights.Transfer.Pulling;

namespace P2PWeights.Transfer.Tests.Pulling;

public sealed class PullPatienceTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly PullPatience _patience = new(30 * Second);

    [Fact]
    public void Pull_without_a_sign_of_anybody_ends_after_the_timeout()
    {
        Assert.Null(_patience.Verdict(30 * Second));
        Assert.Equal("no peer sent any for 31 s", _patience.Verdict(31 * Second));
    }

    [Fact]
    public void Pull_that_lives_goes_on()
    {
        for (var now = Second; now < 10_000 * Second; now += 29 * Second)
        {
            _patience.Lives(now);
            Assert.Null(_patience.Verdict(now + (29 * Second)));
        }
    }

    [Fact]
    public void Pull_whose_sources_are_busy_waits_ten_times_as_long_and_says_so()
    {
        for (var now = Second; now <= 300 * Second; now += Second)
        {
            _patience.Busy(now);
            Assert.Null(_patience.Verdict(now));
        }

        Assert.Equal("no peer had a free upload slot for 301 s", _patience.Verdict(301 * Second));
    }

    [Fact]
    public void Pull_whose_busy_sources_went_away_waits_for_them_no_longer()
    {
        _patience.Busy(40 * Second);
        Assert.Null(_patience.Verdict(70 * Second));
        Assert.Equal("no peer sent any for 71 s", _patience.Verdict(71 * Second));
    }
}
