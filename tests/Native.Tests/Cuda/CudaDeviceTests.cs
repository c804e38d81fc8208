using P2PWeights.Native.Cuda;
using P2PWeights.Native.Cuda.Imports;
using P2PWeights.Native.Nccl;
using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Cuda;

public sealed unsafe class CudaDeviceTests
{
    private const int Size = 8 << 20;

    [CudaFact]
    public void Every_device_says_what_it_is()
    {
        Assert.Equal(CudaDevice.Count, CudaDevice.Uuids.Count);
        for (var ordinal = 0; ordinal < CudaDevice.Count; ordinal++)
        {
            using var device = CudaDevice.Open(ordinal);
            Assert.Equal(device.Uuid, CudaDevice.Uuids[ordinal]);
            Assert.NotEqual("", device.Name);
            Assert.Matches("^GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", device.Uuid);
            Assert.Matches("^[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\\.[0-7]$", device.PciBusId);
            Assert.InRange(device.FreeBytes, 1, device.TotalBytes);
        }

        Assert.Matches(@"^\d+\.\d$", CudaLibrary.Version);
    }

    [CudaFact]
    public void An_unknown_device_is_named_in_the_error()
    {
        var exception = Assert.Throws<NativeException>(() => CudaDevice.Open(1000));

        Assert.Contains("GPU 1000", exception.Message, StringComparison.Ordinal);
        Assert.Contains("CUDA_ERROR_INVALID_DEVICE", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_device_that_could_not_be_opened_is_tried_again()
    {
        using var devices = new CudaDevices();

        // Another exception each time: nothing was remembered.
        Assert.NotSame(Assert.Throws<NativeException>(() => devices.Open(1000)), Assert.Throws<NativeException>(() => devices.Open(1000)));
    }

    [CudaFact]
    public void Bytes_go_into_a_device_and_come_out_unchanged()
    {
        using var device = CudaDevice.Open(0);
        using var memory = CudaMemory.Allocate(device, 2 * Size);
        using var host = RandomMapping(2 * Size, seed: 1);
        using var registered = RegisteredMemory.Register(device, (nint)host.Address, host.Length, host);
        using var stream = CudaStream.Create(device);
        using var reached = CudaEvent.Create(device);
        Assert.True(reached.IsReached(), "an event that was never recorded stands for nothing to wait for");

        stream.CopyIn(memory.Address, (nint)host.Address, Size);
        stream.Copy(memory.Address + Size, memory.Address, Size);
        stream.CopyOut((nint)host.Address + Size, memory.Address + Size, Size);
        reached.Record(stream);
        reached.Synchronize();

        Assert.True(reached.IsReached());
        Assert.True(new Span<byte>(host.Address, Size).SequenceEqual(new Span<byte>(host.Address + Size, Size)));
        Assert.Equal(64, memory.Export().Length);
    }

    [CudaFact]
    public void Devices_disposed_first_live_until_their_children_are_gone()
    {
        var device = CudaDevice.Open(0);
        var memory = CudaMemory.Allocate(device, Size);
        var stream = CudaStream.Create(device);
        device.Dispose();
        stream.Copy(memory.Address + (Size / 2), memory.Address, Size / 2);
        stream.Synchronize();
        memory.Dispose();
        stream.Dispose();

        Assert.Throws<ObjectDisposedException>(() => device.FreeBytes);
        Assert.Throws<ObjectDisposedException>(() => memory.Address);
    }

    [CudaFact]
    public void Too_much_memory_is_refused_with_its_size()
    {
        using var device = CudaDevice.Open(0);

        var exception = Assert.Throws<NativeException>(() => CudaMemory.Allocate(device, device.TotalBytes * 2));

        Assert.Contains("CUDA_ERROR_OUT_OF_MEMORY", exception.Message, StringComparison.Ordinal);
        Assert.Contains((device.TotalBytes * 2).ToString(System.Globalization.CultureInfo.InvariantCulture), exception.Message, StringComparison.Ordinal);
    }

    [CudaFact(devices: 2)]
    public void Bytes_go_from_device_to_device_after_the_event_that_they_wait_for()
    {
        using var one = CudaDevice.Open(0);
        using var other = CudaDevice.Open(1);
        if (one.CanAccess(other))
        {
            one.EnableAccess(other);
            one.EnableAccess(other);
        }

        using var source = CudaMemory.Allocate(one, Size);
        using var target = CudaMemory.Allocate(other, Size);
        using var host = RandomMapping(2 * Size, seed: 2);
        using var registered = RegisteredMemory.Register(one, (nint)host.Address, host.Length, host);
        using var copies = CudaStream.Create(one);
        using var exchange = CudaStream.Create(one);
        using var back = CudaStream.Create(other);
        using var copied = CudaEvent.Create(one);
        using var arrived = CudaEvent.Create(one);

        copies.CopyIn(source.Address, (nint)host.Address, Size);
        copied.Record(copies);
        exchange.Wait(copied);
        exchange.CopyTo(other, target.Address, source.Address, Size);
        arrived.Record(exchange);
        back.Wait(arrived);
        back.CopyOut((nint)host.Address + Size, target.Address, Size);
        back.Synchronize();

        Assert.True(new Span<byte>(host.Address, Size).SequenceEqual(new Span<byte>(host.Address + Size, Size)));
    }

    [CudaFact(devices: 2)]
    public void Copies_given_together_bring_every_byte()
    {
        int version;
        Assert.Equal(0, Cu.cuDriverGetVersion(&version));
        Assert.Equal(version >= 12080, CuBatch.IsAvailable);

        // One, as many as go in one call, and more.
        foreach (var count in (ReadOnlySpan<int>)[1, 64, 150])
        {
            CopyTogether(count);
        }
    }

    [CudaFact(devices: 2, nccl: true)]
    public void An_all_gather_brings_every_part_to_every_device()
    {
        using var host = RandomMapping(2 * Size, seed: 3);
        var devices = Enumerable.Range(0, 2).Select(CudaDevice.Open).ToArray();
        var memory = devices.Select(device => CudaMemory.Allocate(device, Size)).ToArray();
        CudaStream[] streams = [.. devices.Select(CudaStream.Create)];
        using var registered = RegisteredMemory.Register(devices[0], (nint)host.Address, host.Length, host);
        using (var group = NcclGroup.Create(devices))
        {
            for (var d = 0; d < 2; d++)
                streams[d].CopyIn(memory[d].Address + (d * Size / 2), (nint)host.Address + (d * Size / 2), Size / 2);
            group.AllGather([.. memory.Select(part => part.Address)], Size / 2, streams);
            foreach (var (stream, part) in streams.Zip(memory))
            {
                stream.CopyOut((nint)host.Address + Size, part.Address, Size);
                stream.Synchronize();
                Assert.True(new Span<byte>(host.Address, Size).SequenceEqual(new Span<byte>(host.Address + Size, Size)));
                new Span<byte>(host.Address + Size, Size).Clear();
            }

            Assert.Null(group.Failure());
        }

        foreach (var handle in streams.Cast<IDisposable>().Concat(memory).Concat(devices))
            handle.Dispose();
    }

    private static void CopyTogether(int count)
    {
        using var one = CudaDevice.Open(0);
        using var other = CudaDevice.Open(1);
        if (one.CanAccess(other))
        {
            one.EnableAccess(other);
        }

        const int Piece = 4096;
        using var source = CudaMemory.Allocate(one, count * Piece);
        using var target = CudaMemory.Allocate(other, count * Piece);
        using var host = RandomMapping(2 * count * Piece, seed: count);
        var bytes = count * Piece;
        using var copies = CudaStream.Create(one);
        using var back = CudaStream.Create(other);
        copies.CopyIn(source.Address, (nint)host.Address, bytes);
        copies.Synchronize();

        // Each piece goes to the place of its mirror image.
        DeviceCopy[] together = [.. Enumerable.Range(0, count).Select(piece => new DeviceCopy(source.Address + (piece * Piece), target.Address + ((count - 1 - piece) * Piece), Piece))];
        copies.CopyTo(other, together);
        copies.Synchronize();
        back.CopyOut((nint)host.Address + bytes, target.Address, bytes);
        back.Synchronize();

        for (var piece = 0; piece < count; piece++)
        {
            var sent = new Span<byte>(host.Address + (piece * Piece), Piece);
            var came = new Span<byte>(host.Address + bytes + ((count - 1 - piece) * Piece), Piece);
            Assert.True(sent.SequenceEqual(came), $"piece {piece} of {count}");
        }
    }

    private static MemoryMapping RandomMapping(int length, int seed)
    {
        var mapping = MemoryMapping.CreateAnonymous(length);
        new Random(seed).NextBytes(new Span<byte>(mapping.Address, length));
        return mapping;
    }
}
