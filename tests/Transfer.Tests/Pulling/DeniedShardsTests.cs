using P2PWeights.Transfer.Pulling;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Pulling;

public sealed class DeniedShardsTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly DeniedShards _denied = new();
    private readonly ShardBitmap _announced = new(4) { [1] = true, [2] = true };

    [Fact]
    public void Denied_shard_is_not_asked_for_until_its_pause_is_over()
    {
        _denied.Add(1, default);
        Assert.Equal((false, true), (Held(Second / 2)[1], Held(Second / 2)[2]));
        Assert.False(_denied.TakeEnded(Second / 2));
        Assert.True(_denied.TakeEnded(Second));
        Assert.False(_denied.TakeEnded(Second));
        Assert.True(Held(Second)[1]);
        Assert.True(_announced[1]);
    }

    [Fact]
    public void Pause_doubles_with_each_denial_up_to_a_minute()
    {
        var now = TimeSpan.Zero;
        foreach (var seconds in (int[])[1, 2, 4, 8, 16, 32, 60, 60, 60])
        {
            _denied.Add(1, now);
            now += seconds * Second;
            Assert.False(Held(now - TimeSpan.FromTicks(1))[1], $"asked for before {seconds} s were over");
            Assert.True(_denied.TakeEnded(now));
            Assert.True(Held(now)[1]);
        }
    }

    [Fact]
    public void Each_shard_has_its_own_pause()
    {
        _denied.Add(1, default);
        _denied.Add(2, Second / 2);
        Assert.True(_denied.TakeEnded(Second));
        Assert.Equal((true, false), (Held(Second)[1], Held(Second)[2]));
        Assert.False(_denied.TakeEnded(1.4 * Second));
        Assert.True(_denied.TakeEnded(1.5 * Second));
    }

    [Fact]
    public void Shard_that_is_not_announced_stays_so() => Assert.False(Held(default)[3]);

    private ShardBitmap Held(TimeSpan now) => _denied.Without(_announced, now);
}
