using P2PWeights.Store.Gpu;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Gpu;

public sealed class ForeignGpuOpeningTests
{
    [Fact]
    public async Task Arena_that_could_not_be_opened_is_tried_again_after_a_while()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["gpu-host-0"], "");
        var (time, tries) = (new VirtualTime(), 0);
        var opening = new ForeignGpuOpening(
            "GPU-7", () => ++tries < 3 ? throw new IOException("the device is busy") : ForeignHostGpuArena.Open(Path.GetDirectoryName(folder["gpu-host-0"])!, "gpu-host-0"u8), time);

        await Assert.ThrowsAsync<IOException>(opening.OpenAsync);
        time.Advance(ForeignGpuOpening.BackOff - TimeSpan.FromTicks(1));
        Assert.Equal("the device is busy", (await Assert.ThrowsAsync<IOException>(opening.OpenAsync)).Message);
        Assert.Equal(1, tries);
        time.Advance(TimeSpan.FromTicks(1));
        await Assert.ThrowsAsync<IOException>(opening.OpenAsync);
        Assert.Equal((2, null), (tries, opening.Opened));

        time.Advance(ForeignGpuOpening.BackOff);
        var opened = await opening.OpenAsync();
        Assert.Same(opened, await opening.OpenAsync());
        Assert.Equal((3, opened), (tries, opening.Opened));
        opening.Close();
    }

    [Fact]
    public async Task Driver_that_does_not_return_fails_by_name_and_is_not_asked_a_second_time_meanwhile()
    {
        using var returns = new ManualResetEventSlim();
        var (time, tries) = (new VirtualTime(), 0);
        var opening = new ForeignGpuOpening("GPU-7", () =>
        {
            tries++;
            returns.Wait();
            throw new IOException("the device is lost");
        }, time);
        try
        {
            Task[] wanted = [opening.OpenAsync(), opening.OpenAsync()];
            time.Advance(CopyWatch.Deadline);
            foreach (var one in wanted)
            {
                Assert.Contains("GPU-7 did not open", (await Assert.ThrowsAsync<IOException>(() => one.WaitAsync(StoreFixture.Deadline))).Message, StringComparison.Ordinal);
            }

            await Assert.ThrowsAsync<IOException>(opening.OpenAsync);
            time.Advance(ForeignGpuOpening.BackOff);
            var later = opening.OpenAsync();
            Assert.False(later.IsCompleted);
            returns.Set();
            Assert.Equal("the device is lost", (await Assert.ThrowsAsync<IOException>(() => later.WaitAsync(StoreFixture.Deadline))).Message);
            Assert.Equal(1, tries);
        }
        finally
        {
            returns.Set();
        }
    }
}
