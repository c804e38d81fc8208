using Microsoft.Win32.SafeHandles;
using P2PWeights.Client.Engines;
using P2PWeights.Native;
using P2PWeights.Native.Posix;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>See <see cref="HostDevices"/>. The slots' file is allocated when it is made, so that no page can be missing later, and is gone with the device.</summary>
internal sealed class HostDevice(string name, string root) : IUpdateDevice
{
    private const string Prefix = "p2pweights-slots-";

    /// <summary>For a file to be locked after it was made, with room for a slow machine.</summary>
    private static readonly TimeSpan YoungAge = TimeSpan.FromMinutes(1);

    private MemoryMapping? _slots;
    private SafeFileHandle? _lock;
    private string? _path;

    public string Name { get; } = name;

    public long FreeBytes => PosixFile.FreeBytes(root);

    /// <summary>Where the slots are mapped here.</summary>
    public unsafe nint Address => (nint)_slots!.Address;

    public SlotMemory Allocate(long bytes)
    {
        var path = Path.Combine(root, $"{Prefix}{Guid.NewGuid():N}");
        try
        {
            // Kept open as long as it is in use, with the shared lock that .NET takes on every file: what a killed process leaves has none. For nobody but this user.
            _lock = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
            File.SetUnixFileMode(_lock, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            PosixFile.Allocate(_lock, 0, bytes);
            _slots = MemoryMapping.Create(_lock, 0, bytes, writable: true, shared: true);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            _lock?.Dispose();
            File.Delete(path);
            throw new UpdateException($"there is no room for slots of {bytes} bytes in {root}: {failure.Message}", failure);
        }

        _path = path;
        return new HostSlotMemory(path, bytes);
    }

    public IDeviceStream OpenStream() => new HostStream(this);

    public long Abandon()
    {
        // Nothing to wait for: the mapping lives until the last copy has let go of it.
        Dispose();
        return 0;
    }

    public void Dispose()
    {
        _slots?.Dispose();
        if (_path is not null)
        {
            File.Delete(_path);
        }

        _lock?.Dispose();
    }

    /// <summary>Deletes slots that processes left which are gone: nobody has them locked.</summary>
    public static void Sweep(string root)
    {
        foreach (var path in Directory.GetFiles(root, Prefix + "*").Where(path => DateTime.UtcNow - File.GetLastWriteTimeUtc(path) > YoungAge))
        {
            try
            {
                using var held = PosixFile.TryLockExisting(path);
                if (held is not null)
                {
                    File.Delete(path);
                }
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // Another user's, or gone by itself: not ours to delete.
            }
        }
    }

    /// <summary>Keeps the slots mapped until the hold is disposed.</summary>
    /// <exception cref="NativeException">The device is gone.</exception>
    internal SlotHold Hold() => new(_slots!);

    internal readonly struct SlotHold : IDisposable
    {
        private readonly MemoryMapping _held;

        public SlotHold(MemoryMapping held)
        {
            var added = false;
            held.DangerousAddRef(ref added);
            _held = held;
        }

        public void Dispose() => _held.DangerousRelease();
    }
}
