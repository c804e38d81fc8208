using System.Text;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Native;
using P2PWeights.Native.Posix;

namespace P2PWeights.Store.Gpu;

/// <summary>Memory of the host in the place of a GPU's: a file beside the arena, allocated when it is made, with copies by the calling thread in the place of copy engines.</summary>
internal sealed class HostGpuArena : IGpuArena
{
    private readonly string _path;
    private readonly MemoryMapping _memory;

    private HostGpuArena(string device, string path, MemoryMapping memory)
    {
        (Device, _path, _memory) = (device, path, memory);
        Handle = Encoding.UTF8.GetBytes(Path.GetFileName(path));
    }

    public string Device { get; }

    /// <summary>The file's name; it lies beside the arena.</summary>
    public ReadOnlyMemory<byte> Handle { get; }

    /// <param name="folder">The arena's, in which nobody but its owner's user reads.</param>
    /// <exception cref="IOException">There is no room.</exception>
    public static HostGpuArena Make(string device, long bytes, string folder)
    {
        var path = Path.Combine(folder, GpuExports.FileName + "-" + device);

        // Another inode each time: who has the one of an earlier process open keeps that one's bytes.
        File.Delete(path);
        try
        {
            using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            PosixFile.Allocate(file, 0, bytes);
            return new HostGpuArena(device, path, MemoryMapping.Create(file, 0, bytes, writable: true, shared: true));
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    public Task CopyInAsync(ReadOnlyMemory<byte> host, long offset)
    {
        FaultPoints.Reach(FaultPoint.DeviceCopies);
        host.CopyTo(At(offset, host.Length));
        return Task.CompletedTask;
    }

    public Task CopyOutAsync(long offset, Memory<byte> host)
    {
        At(offset, host.Length).CopyTo(host);
        return Task.CompletedTask;
    }

    public void Abandon() => File.Delete(_path);

    public void Dispose()
    {
        _memory.Dispose();
        File.Delete(_path);
    }

    /// <summary>A part of the memory, mapped here.</summary>
    internal Memory<byte> At(long offset, int length) => _memory.GetMemory(offset, length);
}

/// <summary>The same of another process: read with pread and not mapped, because its owner may cut the file short.</summary>
internal sealed class ForeignHostGpuArena(SafeFileHandle file, string path) : IForeignGpuArena
{
    /// <param name="folder">The other process's arena folder.</param>
    /// <param name="handle">As that process wrote it: a name of a file in the folder, nothing else.</param>
    /// <exception cref="IOException">There is no such file.</exception>
    public static ForeignHostGpuArena Open(string folder, ReadOnlySpan<byte> handle)
    {
        var name = Encoding.UTF8.GetString(handle);
        var path = Path.Combine(folder, name);
        return name.Length > 0 && Path.GetFileName(path) == name && Path.GetDirectoryName(path) == folder
            ? new ForeignHostGpuArena(PosixFile.OpenRead(path, followSymlinks: false), path)
            : throw new IOException($"'{name}' is no name of a file in {folder}");
    }

    /// <summary>None: no device has anything to do.</summary>
    public GpuCopies Copies => default;

    public bool CanCopyTo(IGpuArena target) => target is HostGpuArena;

    public Task CopyToAsync(long offset, IGpuArena target, long targetOffset, int length)
    {
        FaultPoints.Reach(FaultPoint.DeviceCopies);
        return CopyOutAsync(offset, ((HostGpuArena)target).At(targetOffset, length));
    }

    public Task CopyOutAsync(long offset, Memory<byte> host)
    {
        for (var done = 0; done < host.Length;)
        {
            var read = RandomAccess.Read(file, host.Span[done..], offset + done);
            if (read == 0)
            {
                throw new NativeException("host", "copy", 0, "the memory is gone", path);
            }

            done += read;
        }

        return Task.CompletedTask;
    }

    public void Dispose() => file.Dispose();
}
