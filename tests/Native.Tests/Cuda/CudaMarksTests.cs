using P2PWeights.Native.Cuda;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Cuda;

public sealed class CudaMarksTests
{
    private const int Size = 8 << 20;

    [CudaFact]
    public async Task Copies_of_which_one_fails_end_when_those_before_have_ended()
    {
        using var devices = new CudaDevices();
        var device = devices.Open(0);
        using var memory = CudaMemory.Allocate(device, Size);
        using var host = MemoryMapping.CreateAnonymous(2 * Size);
        new Random(4).NextBytes(host.GetMemory(0, Size).Span);
        var (from, to, address) = (AddressOf(host), AddressOf(host) + Size, memory.Address);
        using var registered = devices.Register(from, host.Length, host);
        using var stream = CudaStream.Create(device);
        await devices.Marks.CopyAsync(stream, copies => copies.CopyIn(address, from, Size));

        await Assert.ThrowsAsync<NativeException>(() => devices.Marks.CopyAsync(stream, copies =>
        {
            copies.CopyOut(to, address, Size);
            copies.CopyIn(0, from, Size);
        }));

        Assert.True(host.GetMemory(0, Size).Span.SequenceEqual(host.GetMemory(Size, Size).Span));
    }

    [CudaFact(devices: 2)]
    public async Task A_mark_that_cannot_be_set_is_never_reached_and_holds_up_no_other()
    {
        using var devices = new CudaDevices();
        using var stream = CudaStream.Create(devices.Open(0));
        using var other = CudaStream.Create(devices.Open(1));

        // An event of another device cannot be recorded.
        var never = devices.Marks.AddAsync(stream, devices.Marks.Take(devices.Open(1)));
        await devices.Marks.AddAsync(stream).WaitAsync(TimeSpan.FromSeconds(60));
        await devices.Marks.AddAsync(other).WaitAsync(TimeSpan.FromSeconds(60));

        Assert.False(never.IsCompleted);
    }

    private static unsafe nint AddressOf(MemoryMapping mapping) => (nint)mapping.Address;
}
