using P2PWeights.Native.Cuda;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Cuda;

public sealed class SpinThenNapTests
{
    [Fact]
    public void Thread_naps_only_after_nothing_got_on_for_a_while()
    {
        var (time, naps) = (new VirtualTime(), 0);
        var pace = new SpinThenNap(time, () => naps++);

        pace.Pause(hasGotOn: true);
        time.Advance(SpinThenNap.Spin - TimeSpan.FromTicks(1));
        pace.Pause(hasGotOn: false);
        Assert.Equal(0, naps);
        time.Advance(TimeSpan.FromTicks(1));
        pace.Pause(hasGotOn: false);
        pace.Pause(hasGotOn: false);
        Assert.Equal(2, naps);
        pace.Pause(hasGotOn: true);
        Assert.Equal(2, naps);
    }

    /// <summary>A signal may end one early, not all.</summary>
    [Fact]
    public void Kernel_takes_the_nap() => Assert.Contains(true, Enumerable.Range(0, 100).Select(_ => SpinThenNap.Nap()));
}
