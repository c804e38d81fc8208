using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Memory;

/// <summary>
/// The one mapping that holds the memory tier: a file <c>p2pweights-NODE/arena</c> in a tmpfs or hugetlbfs, laid out as <see cref="ArenaHeader"/> says.
/// It is a file so that it outlives a killed process, so that sendfile serves from it, and so that a peer on the same host can map it.
/// All of it is allocated when it is made: a page that the file system cannot supply would be a SIGBUS later.
/// </summary>
internal sealed unsafe class Arena
{
    private const string FolderPrefix = "p2pweights-";

    // Memory<byte> ends at 2 GiB. No block straddles a window, because both are aligned powers of two.
    private const int WindowBytes = 1 << 30;

    // The data starts on a huge page, for hugetlbfs and for registration with devices.
    private const long Alignment = 2 << 20;

    private readonly MemoryMapping _mapping;
    private readonly string _folder;
    private readonly bool _ephemeral;
    private readonly Memory<byte>[] _windows;

    private Arena(SafeFileHandle file, MemoryMapping mapping, string folder, bool ephemeral)
    {
        (File, _mapping, _folder, _ephemeral) = (file, mapping, folder, ephemeral);
        var dataBytes = Header->Units * BuddyAllocator.UnitBytes;
        _windows = new Memory<byte>[(dataBytes + WindowBytes - 1) / WindowBytes];
        for (var i = 0; i < _windows.Length; i++)
        {
            var start = (long)i * WindowBytes;
            _windows[i] = mapping.GetMemory(Header->DataOffset + start, (int)Math.Min(WindowBytes, dataBytes - start));
        }
    }

    /// <summary>The arena file; offsets of leases count from its start.</summary>
    public SafeFileHandle File { get; }

    public string Path => System.IO.Path.Combine(_folder, "arena");

    /// <summary>The random number by which another process recognises this arena.</summary>
    public Guid Nonce => Header->Nonce;

    public int Units => (int)Header->Units;

    private ArenaHeader* Header => (ArenaHeader*)_mapping.Address;

    private ArenaEntry* Directory => (ArenaEntry*)(_mapping.Address + Header->DirectoryOffset);

    /// <summary>Opens the arena of a node, or makes it when there is none of this size and format.</summary>
    /// <param name="recovered">Whether an earlier process left it; its directory is to be read back then.</param>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>: the file system has no room; <see cref="StoreError.Locked"/>; <see cref="StoreError.Io"/>.</exception>
    public static Arena Open(string root, Guid nodeId, long bytes, bool ephemeral, out bool recovered)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("the memory tier needs Linux: tmpfs, flock, fallocate");
        }

        var folder = System.IO.Path.Combine(root, FolderPrefix + nodeId.ToString("N"));
        var layout = LayOut(bytes, ephemeral);
        try
        {
            System.IO.Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            var path = System.IO.Path.Combine(folder, "arena");
            var file = Lock(path);
            try
            {
                recovered = IsUsable(file, layout);
                if (!recovered)
                {
                    Reserve(file, layout, path, root);
                }

                var mapping = MemoryMapping.Create(file, 0, FileBytes(layout), writable: true, shared: true);
                if (!recovered)
                {
                    var header = (ArenaHeader*)mapping.Address;
                    *header = layout;
                    Volatile.Write(ref header->Magic, ArenaHeader.ExpectedMagic);
                }

                return new Arena(file, mapping, folder, ephemeral);
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new StoreException(StoreError.Io, $"the arena {folder} cannot be used: {failure.Message}; check --memory and the arena folder", inner: failure);
        }
    }

    /// <summary>Removes arenas that killed commands left behind: ephemeral ones that nobody has locked. What is not understood is left alone.</summary>
    public static int Sweep(string root)
    {
        var swept = 0;
        if (!System.IO.Directory.Exists(root))
        {
            return swept;
        }

        foreach (var folder in System.IO.Directory.EnumerateDirectories(root, FolderPrefix + "*"))
        {
            try
            {
                var path = System.IO.Path.Combine(folder, "arena");
                if (!System.IO.File.Exists(path))
                {
                    continue;
                }

                using var file = PosixFile.TryLockExclusive(path);
                if (file is not null && ReadHeader(file) is { Magic: ArenaHeader.ExpectedMagic, Ephemeral: 1 })
                {
                    System.IO.Directory.Delete(folder, recursive: true);
                    swept++;
                }
            }
            catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
            {
                // Another user's, or gone meanwhile: not ours to judge.
            }
        }

        return swept;
    }

    /// <summary>The first <paramref name="size"/> bytes of the block at a unit.</summary>
    public Memory<byte> Bytes(int unit, int size)
    {
        var start = (long)unit * BuddyAllocator.UnitBytes;
        return _windows[start / WindowBytes].Slice((int)(start % WindowBytes), size);
    }

    /// <summary>Where a unit starts in <see cref="File"/>.</summary>
    public long OffsetOf(int unit) => Header->DataOffset + ((long)unit * BuddyAllocator.UnitBytes);

    /// <summary>Enters a shard, whose bytes are in place, into the directory.</summary>
    public void Enter(int unit, ShardInfo shard)
    {
        var entry = Directory + unit;
        (entry->Digest, entry->Size) = (shard.Digest, shard.Size);
        Volatile.Write(ref entry->State, ArenaEntry.Live);
    }

    /// <summary>Takes a shard out of the directory; called before its block may be used again.</summary>
    public void Remove(int unit) => Volatile.Write(ref Directory[unit].State, ArenaEntry.Empty);

    /// <summary>The directory's entry for a unit.</summary>
    public ArenaEntry EntryAt(int unit) => Directory[unit];

    /// <summary>Removes an ephemeral arena and lets go of the file.</summary>
    /// <param name="keepMapped">Leaves the memory and the file open until the last slice of it is garbage.</param>
    public void Close(bool keepMapped)
    {
        if (_ephemeral)
        {
            System.IO.Directory.Delete(_folder, recursive: true);
        }

        if (!keepMapped)
        {
            _mapping.Dispose();
            File.Dispose();
        }
    }

    /// <summary>
    /// Locks the arena file. Its node is the only one that may use it, but another that sweeps may hold it for a moment, or even have removed an ephemeral one
    /// just after it was opened: then the lock is on a file that nobody finds any more.
    /// </summary>
    private static SafeFileHandle Lock(string path)
    {
        const int Attempts = 200;
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            System.IO.Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
            if (PosixFile.TryLockExclusive(path) is { } file)
            {
                if (PosixFile.TryStat(path, followSymlinks: false)?.Inode == PosixFile.Stat(file).Inode)
                {
                    return file;
                }

                file.Dispose();
            }

            Thread.Sleep(TimeSpan.FromMilliseconds(5));
        }

        throw new StoreException(StoreError.Locked, $"the arena {path} is in use by another process; stop that node first");
    }

    private static ArenaHeader LayOut(long bytes, bool ephemeral)
    {
        var units = bytes / BuddyAllocator.MaxBlockBytes * (BuddyAllocator.MaxBlockBytes / BuddyAllocator.UnitBytes);
        var directoryEnd = ArenaHeader.Bytes + (units * ArenaEntry.Bytes);
        return new ArenaHeader
        {
            Version = ArenaHeader.ExpectedVersion,
            UnitBytes = BuddyAllocator.UnitBytes,
            Nonce = Guid.NewGuid(),
            Units = units,
            DirectoryOffset = ArenaHeader.Bytes,
            DataOffset = (directoryEnd + Alignment - 1) / Alignment * Alignment,
            Ephemeral = ephemeral ? 1u : 0u,
        };
    }

    private static long FileBytes(in ArenaHeader layout) => layout.DataOffset + (layout.Units * BuddyAllocator.UnitBytes);

    private static bool IsUsable(SafeFileHandle file, in ArenaHeader wanted) =>
        ReadHeader(file) is { } found
        && RandomAccess.GetLength(file) == FileBytes(wanted)
        && (found.Magic, found.Version, found.UnitBytes, found.Units, found.DirectoryOffset, found.DataOffset, found.Ephemeral)
            == (ArenaHeader.ExpectedMagic, wanted.Version, wanted.UnitBytes, wanted.Units, wanted.DirectoryOffset, wanted.DataOffset, wanted.Ephemeral);

    private static ArenaHeader? ReadHeader(SafeFileHandle file)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ArenaHeader)];
        return RandomAccess.Read(file, bytes, 0) == bytes.Length ? MemoryMarshal.Read<ArenaHeader>(bytes) : null;
    }

    /// <summary>Empties the file and allocates every page of it.</summary>
    private static void Reserve(SafeFileHandle file, in ArenaHeader layout, string path, string root)
    {
        RandomAccess.SetLength(file, 0);
        var bytes = FileBytes(layout);
        var free = PosixFile.FreeBytes(root);
        var full = $"the memory tier needs {bytes} bytes in {root}, which has {free} free; give --memory less, or make the file system larger";
        if (free < bytes)
        {
            System.IO.File.Delete(path);
            throw new StoreException(StoreError.Full, full);
        }

        try
        {
            PosixFile.Allocate(file, 0, bytes);
        }
        catch (IOException failure) when (Errno.IsDiskFull(failure))
        {
            System.IO.File.Delete(path);
            throw new StoreException(StoreError.Full, full, inner: failure);
        }
    }
}
