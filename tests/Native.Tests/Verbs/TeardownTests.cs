using P2PWeights.Native.Posix;
using P2PWeights.Native.Verbs;

namespace P2PWeights.Native.Tests.Verbs;

public sealed class TeardownTests
{
    [VerbsDeviceFact]
    public void Parents_disposed_first_live_until_their_children_are_gone()
    {
        List<NativeException> failures = [];
        void Note(NativeException failure)
        {
            lock (failures)
                failures.Add(failure);
        }

        VerbsHandle.ReleaseFailed += Note;
        try
        {
            var pairs = new ConnectedPairs(MemoryAccess.WindowBind);
            var window = MemoryWindow.Create(pairs.Domain);
            Assert.True(pairs.Server.PostBind(1, window, pairs.Remote, (ulong)pairs.Remote.Address, 4096).IsComplete);
            Assert.True(ConnectedPairs.Take(pairs.ServerCompletions, 1)[0].IsSuccess);

            // Inside out: in this order libibverbs itself would answer EBUSY, or crash.
            pairs.Device.Dispose();
            pairs.Domain.Dispose();
            pairs.ReaderCompletions.Dispose();
            pairs.ServerCompletions.Dispose();
            pairs.Remote.Dispose();
            pairs.Local.Dispose();
            pairs.Server.Fail(); // the device is still there to do it
            window.Dispose();
            pairs.Dispose();
            Assert.All(
                new VerbsHandle[] { pairs.Device, pairs.Domain, pairs.ReaderCompletions, pairs.ServerCompletions, pairs.Remote, pairs.Local, pairs.Reader, pairs.Server, window },
                handle => Assert.True(handle.IsClosed, $"{handle.GetType().Name} is still there"));
            Assert.Throws<ObjectDisposedException>(() => pairs.ReaderCompletions.Arm());
        }
        finally
        {
            VerbsHandle.ReleaseFailed -= Note;
        }

        Assert.Empty(failures);
    }

    [VerbsDeviceFact]
    public unsafe void Memory_stays_mapped_while_a_region_covers_it()
    {
        using var pairs = new ConnectedPairs();
        var mapping = MemoryMapping.CreateAnonymous(1 << 20);
        var address = mapping.Address;
        using var region = MemoryRegion.Register(pairs.Domain, (nint)address, mapping.Length, MemoryAccess.LocalWrite, mapping);
        mapping.Dispose();

        pairs.Reader.PostReads([new(1, (nint)address, region.LocalKey, (ulong)pairs.Remote.Address, pairs.Remote.RemoteKey, 4096, true)]);

        Assert.True(ConnectedPairs.Take(pairs.ReaderCompletions, 1)[0].IsSuccess);
        Assert.True(new ReadOnlySpan<byte>(address, 4096).SequenceEqual(pairs.Data.AsSpan(0, 4096)));
    }

    [VerbsDeviceFact]
    public void A_disposed_parent_has_no_more_children()
    {
        var device = VerbsDevice.Open(VerbsDevice.List()[0].Name);
        device.Dispose();

        Assert.Throws<ObjectDisposedException>(() => ProtectionDomain.Create(device));
        Assert.Throws<ObjectDisposedException>(() => CompletionQueue.Create(device, 16));
    }

    [VerbsDeviceFact]
    public async Task Waits_end_when_they_are_woken_or_their_time_is_over()
    {
        using var pairs = new ConnectedPairs();
        Assert.False(pairs.ReaderCompletions.WaitForEvent(TimeSpan.FromMilliseconds(1)));
        Assert.Null(pairs.Device.WaitForEvent(TimeSpan.Zero));

        var completions = Task.Run(() => pairs.ReaderCompletions.WaitForEvent(Timeout.InfiniteTimeSpan));
        var events = Task.Run(() => pairs.Device.WaitForEvent(Timeout.InfiniteTimeSpan));
        pairs.ReaderCompletions.Wake();
        pairs.Device.Wake();

        Assert.False(await completions.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Null(await events.WaitAsync(TimeSpan.FromSeconds(60)));
    }

    [VerbsDeviceFact]
    public void A_completion_queue_that_overflows_is_an_event_of_its_device()
    {
        using var pairs = new ConnectedPairs(depth: 64, completions: 4);
        var reads = Enumerable.Range(0, 48).Select(index => pairs.Read((ulong)index, 0, 4096, pairs.Remote.RemoteKey)).ToArray();
        Assert.InRange(pairs.ReaderCompletions.Entries, 4, reads.Length - 1);

        Assert.True(pairs.Reader.PostReads(reads).Posted > pairs.ReaderCompletions.Entries);

        Assert.Equal(new DeviceEvent(DeviceEventKind.CompletionQueueError, 0, 0), pairs.Device.WaitForEvent(TimeSpan.FromSeconds(60)));
    }
}
