using System.Diagnostics;
using P2PWeights.Native.Posix;

namespace P2PWeights.Native.Tests.Posix;

public sealed class ProcessControlTests
{
    [Fact]
    public async Task Signal_reaches_a_child_and_reports_one_that_is_gone()
    {
        using var child = Process.Start("/usr/bin/sleep", "60");
        Assert.True(ProcessControl.Signal(child.Id, PosixSignalNumber.Terminate));
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        await child.WaitForExitAsync(deadline.Token);
        Assert.Equal(128 + (int)PosixSignalNumber.Terminate, child.ExitCode);
        Assert.False(ProcessControl.Signal(child.Id, PosixSignalNumber.Terminate));
        Assert.Throws<ArgumentOutOfRangeException>(() => ProcessControl.Signal(0, PosixSignalNumber.Kill));
        Assert.Throws<ArgumentOutOfRangeException>(() => ProcessControl.Signal(-1, PosixSignalNumber.Kill));
    }
}
