using P2PWeights.Native.Posix;
using P2PWeights.Testing;

namespace P2PWeights.Native.Tests.Posix;

public sealed class MemoryMappingTests
{
    [Fact]
    public void Shared_mapping_and_file_show_each_others_writes()
    {
        using var folder = new TempFolder();
        using var file = File.OpenHandle(folder["file"], FileMode.Create, FileAccess.ReadWrite);
        RandomAccess.SetLength(file, 1 << 20);
        using var mapping = MemoryMapping.Create(file, 0, 1 << 20, writable: true, shared: true);

        "from memory"u8.CopyTo(mapping.GetMemory(4096, 11).Span);
        var read = new byte[11];
        RandomAccess.Read(file, read, 4096);
        Assert.Equal("from memory"u8.ToArray(), read);

        RandomAccess.Write(file, "from file"u8, 8192);
        Assert.Equal("from file"u8.ToArray(), mapping.GetMemory(8192, 9).ToArray());
    }

    [Fact]
    public void Private_mapping_keeps_its_writes_to_itself()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["file"], "kept");
        using var file = File.OpenHandle(folder["file"]);
        using var mapping = MemoryMapping.Create(file, 0, 4, writable: true, shared: false);
        mapping.GetMemory(0, 4).Span.Clear();
        Assert.Equal("kept", File.ReadAllText(folder["file"]));
    }

    [Fact]
    public void Memory_reaches_past_2_GiB()
    {
        const long Length = 5L << 30;
        using var folder = new TempFolder();
        using var file = File.OpenHandle(folder["sparse"], FileMode.Create, FileAccess.ReadWrite);
        RandomAccess.SetLength(file, Length);
        using var mapping = MemoryMapping.Create(file, 0, Length, writable: true, shared: true);

        mapping.GetMemory(Length - 1, 1).Span[0] = 7;
        var last = new byte[1];
        RandomAccess.Read(file, last, Length - 1);
        Assert.Equal(7, last[0]);
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.GetMemory(Length, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.GetMemory(-1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.GetMemory(long.MaxValue, int.MaxValue));
    }

    [Fact]
    public async Task Memory_can_be_given_to_asynchronous_io()
    {
        using var folder = new TempFolder();
        using var mapping = MemoryMapping.CreateAnonymous(1 << 20);
        new Seeded(1).Bytes(1 << 20).CopyTo(mapping.GetMemory(0, 1 << 20));
        using var file = File.OpenHandle(folder["file"], FileMode.Create, FileAccess.ReadWrite);
        await RandomAccess.WriteAsync(file, mapping.GetMemory(0, 1 << 20), 0);
        Assert.Equal(new Seeded(1).Bytes(1 << 20), File.ReadAllBytes(folder["file"]));
    }

    [Fact]
    public unsafe void Pin_keeps_the_memory_mapped_after_disposal()
    {
        var mapping = MemoryMapping.CreateAnonymous(1 << 16);
        using (var pin = mapping.GetMemory(100, 10).Pin())
        {
            var expected = mapping.Address + 100;
            mapping.Dispose();
            Assert.True(pin.Pointer == expected);
            *(byte*)pin.Pointer = 1;
        }

        Assert.True(mapping.IsClosed);
    }

    [Fact]
    public void Populating_a_range_changes_no_bytes_and_stays_in_the_mapping()
    {
        using var folder = new TempFolder();
        File.WriteAllBytes(folder["file"], new Seeded(1).Bytes(1 << 20));
        using var file = File.OpenHandle(folder["file"]);
        using var mapping = MemoryMapping.Create(file, 0, 1 << 20, writable: false, shared: true);

        // Whether the kernel can is its own affair; what it answers for memory that is not mapped is not.
        mapping.TryPopulate(1 << 16, 1 << 16);
        Assert.Equal(new Seeded(1).Bytes(1 << 20), mapping.GetMemory(0, 1 << 20).ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.TryPopulate(-4096, 4096));
        Assert.Throws<ArgumentOutOfRangeException>(() => mapping.TryPopulate(4096, 1 << 20));
    }

    [Fact]
    public void Disposed_mapping_refuses_access()
    {
        var mapping = MemoryMapping.CreateAnonymous(1 << 16);
        var memory = mapping.GetMemory(0, 16);
        mapping.Dispose();
        Assert.Throws<ObjectDisposedException>(() => memory.Span[0]);
    }

    [Fact]
    public void Mapping_of_a_file_that_is_not_open_for_writing_is_refused()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["file"], "x");
        using var file = File.OpenHandle(folder["file"]);
        var error = Assert.Throws<NativeException>(() => MemoryMapping.Create(file, 0, 1, writable: true, shared: true));
        Assert.Equal(("mmap", Errno.AccessDenied), (error.Function, error.Code));
    }
}
