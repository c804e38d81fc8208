using P2PWeights.Store.Gpu;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Gpu;

public sealed class ForeignGpuOpeningTests
{
    [Fact]
    public void Arena_that_could_not_be_opened_is_tried_again_after_a_while()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["gpu-host-0"], "");
        var (time, tries) = (new VirtualTime(), 0);
        var opening = new ForeignGpuOpening(() => ++tries < 3 ? throw new IOException("the device is busy") : ForeignHostGpuArena.Open(Path.GetDirectoryName(folder["gpu-host-0"])!, "gpu-host-0"u8), time);

        Assert.Throws<IOException>(opening.Open);
        time.Advance(ForeignGpuOpening.BackOff - TimeSpan.FromTicks(1));
        Assert.Equal("the device is busy", Assert.Throws<IOException>(opening.Open).Message);
        Assert.Equal(1, tries);
        time.Advance(TimeSpan.FromTicks(1));
        Assert.Throws<IOException>(opening.Open);
        Assert.Equal((2, null), (tries, opening.Opened));

        time.Advance(ForeignGpuOpening.BackOff);
        using var opened = opening.Open();
        Assert.Same(opened, opening.Open());
        Assert.Equal((3, opened), (tries, opening.Opened));
    }
}
