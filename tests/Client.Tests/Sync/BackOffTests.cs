using P2PWeights.Client.Sync;

namespace P2PWeights.Client.Tests.Sync;

public sealed class BackOffTests
{
    [Theory]
    [InlineData(1, 250)]
    [InlineData(2, 500)]
    [InlineData(5, 4000)]
    [InlineData(7, 10_000)]
    [InlineData(int.MaxValue, 10_000)]
    public void Wait_doubles_up_to_the_cap(int failures, int milliseconds) =>
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), BackOff.After(failures, TimeSpan.FromSeconds(10), random: 0.5));

    [Theory]
    [InlineData(0.0, 750)]
    [InlineData(1.0, 1250)]
    public void Wait_is_spread_by_a_quarter(double random, int milliseconds) =>
        Assert.Equal(TimeSpan.FromMilliseconds(milliseconds), BackOff.After(3, TimeSpan.FromSeconds(10), random));
}
