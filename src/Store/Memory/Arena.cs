using System.Runtime.InteropServices;
using System.Runtime.Versioning;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Native;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Gpu;

namespace P2PWeights.Store.Memory;

/// <summary>
/// The one mapping that holds the memory tier: a file <c>p2pweights-NODE/arena</c> in a tmpfs or hugetlbfs, laid out as <see cref="ArenaHeader"/> says.
/// It is a file so that it outlives a killed process, so that sendfile serves from it, and so that a peer on the same host can map it.
/// All of it is allocated when it is made: a page that the file system cannot supply would be a SIGBUS later.
/// </summary>
internal sealed unsafe class Arena
{
    /// <summary>Name of an arena's folder, before the node's id as 32 hex digits.</summary>
    public const string FolderPrefix = "p2pweights-";

    /// <summary>Name of the one file in an arena's folder.</summary>
    public const string FileName = "arena";

    private const UnixFileMode FolderMode = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    // Memory<byte> ends at 2 GiB. No block straddles a window, because both are aligned powers of two.
    private const int WindowBytes = 1 << 30;

    // The data starts on a huge page, for hugetlbfs and for registration with devices.
    private const long Alignment = 2 << 20;

    private readonly MemoryMapping _mapping;
    private readonly ArenaWarmer _warmer;
    private readonly string _folder;
    private readonly bool _ephemeral;
    private readonly Memory<byte>[] _windows;

    private Arena(SafeFileHandle file, MemoryMapping mapping, string folder, bool ephemeral)
    {
        Path = System.IO.Path.Combine(folder, FileName);
        (File, _mapping, _folder, _ephemeral) = (file, mapping, folder, ephemeral);
        _warmer = new ArenaWarmer(mapping);
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

    public string Path { get; }

    /// <summary>The random number by which another process recognises this arena, as long as this one has it open.</summary>
    public Guid Nonce => Header->Nonce;

    public int Units => (int)Header->Units;

    /// <summary>Where the whole file is mapped.</summary>
    public MemoryRegion Mapped => new((nint)_mapping.Address, _mapping.Length);

    /// <summary>Where the units are mapped: what a device may be given, because the nonce is not in it.</summary>
    public MemoryRegion Data => new((nint)(_mapping.Address + Header->DataOffset), Header->Units * BuddyAllocator.UnitBytes);

    private ArenaHeader* Header => (ArenaHeader*)_mapping.Address;

    private ArenaEntry* Directory => (ArenaEntry*)(_mapping.Address + Header->DirectoryOffset);

    /// <summary>Opens the arena of a node, or makes it when there is none of this size and format.</summary>
    /// <param name="dataFolder">Full path of the node's data folder, by which <see cref="ArenaSweeper"/> tells whether anybody will open the arena again.</param>
    /// <param name="recovered">Whether an earlier process left it; its directory is to be read back then.</param>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>: the file system has no room; <see cref="StoreError.Locked"/>; <see cref="StoreError.Io"/>.</exception>
    public static Arena Open(string root, Guid nodeId, string dataFolder, long bytes, bool ephemeral, out bool recovered)
    {
        if (!OperatingSystem.IsLinux())
        {
            throw new PlatformNotSupportedException("the memory tier needs Linux: tmpfs, flock, fallocate");
        }

        var folder = System.IO.Path.Combine(root, FolderPrefix + nodeId.ToString("N"));
        var layout = LayOut(bytes, ephemeral);
        try
        {
            var file = Lock(folder);
            try
            {
                recovered = IsUsable(file, layout);
                if (!recovered)
                {
                    Make(file, layout, dataFolder, folder);
                }

                var mapping = MemoryMapping.Create(file, 0, FileBytes(layout), writable: true, shared: true);
                var header = (ArenaHeader*)mapping.Address;

                // Before anything else is written: who has borrowed a range from an earlier owner looks at this after each read.
                header->Nonce = Guid.NewGuid();
                Thread.MemoryBarrier();
                ArenaHeader.WriteOwner(header, dataFolder);
                Volatile.Write(ref header->Magic, ArenaHeader.ExpectedMagic);
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
        _warmer.Stop();
        if (_ephemeral)
        {
            Remove(_folder);
        }

        if (!keepMapped)
        {
            _mapping.Dispose();
            PosixFile.Unlock(File);
        }
    }

    /// <summary>Removes an arena, with what stands beside it for GPUs; the caller has it locked. Anything else in its folder is not ours and stays, the folder with it.</summary>
    internal static void Remove(string folder)
    {
        try
        {
            System.IO.File.Delete(System.IO.Path.Combine(folder, FileName));
            GpuExports.Remove(folder);
            System.IO.Directory.Delete(folder);
        }
        catch (IOException)
        {
            // Gone already, or not empty.
        }
    }

    /// <summary>
    /// Makes and locks the arena file. Its node is the only one that may use it, but another that sweeps may hold it for a moment, or even have removed an orphan
    /// just after it was opened: then the lock is on a file that nobody finds any more.
    /// </summary>
    [SupportedOSPlatform("linux")]
    private static SafeFileHandle Lock(string folder)
    {
        const int Attempts = 200;
        var path = System.IO.Path.Combine(folder, FileName);
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            System.IO.Directory.CreateDirectory(folder, FolderMode);
            try
            {
                if (PosixFile.TryLockExclusive(path) is { } file)
                {
                    if (IsAt(path, file))
                    {
                        return file;
                    }

                    file.Dispose();
                }
            }
            catch (NativeException error) when (error.Code == Errno.NotFound)
            {
                // A sweeper removed the folder just after it was made.
            }

            Thread.Sleep(TimeSpan.FromMilliseconds(5));
        }

        throw new StoreException(StoreError.Locked, $"the arena {path} is in use by another process; stop that node first");
    }

    /// <summary>Whether a path leads to an open file. While that one is locked, nobody else who locks first can change the answer.</summary>
    internal static bool IsAt(string path, SafeFileHandle file) =>
        PosixFile.TryStat(path, followSymlinks: false) is { } found
        && PosixFile.Stat(file) is var open
        && (found.Device, found.Inode) == (open.Device, open.Inode);

    /// <summary>The header of an arena file; null when the file is shorter than one.</summary>
    internal static ArenaHeader? ReadHeader(SafeFileHandle file)
    {
        Span<byte> bytes = stackalloc byte[sizeof(ArenaHeader)];
        return RandomAccess.Read(file, bytes, 0) == bytes.Length ? MemoryMarshal.Read<ArenaHeader>(bytes) : null;
    }

    /// <summary>Whether a file is the arena of some node, of whatever version.</summary>
    internal static bool IsArena(SafeFileHandle file)
    {
        Span<byte> magic = stackalloc byte[sizeof(ulong)];
        return RandomAccess.Read(file, magic, 0) == magic.Length && MemoryMarshal.Read<ulong>(magic) == ArenaHeader.ExpectedMagic;
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

    /// <summary>
    /// Empties the file and allocates every page of it. The header goes in first, without its magic: should this process be killed during the rest, which takes
    /// a while, a sweeper still learns whose arena it is.
    /// </summary>
    private static void Make(SafeFileHandle file, in ArenaHeader layout, string dataFolder, string folder)
    {
        RandomAccess.SetLength(file, 0);
        var bytes = FileBytes(layout);
        var root = System.IO.Path.GetDirectoryName(folder)!;
        var free = PosixFile.FreeBytes(root);
        var full = $"the memory tier needs {bytes} bytes in {root}, which has {free} free; give --memory less, or make the file system larger";
        if (free < bytes)
        {
            Remove(folder);
            throw new StoreException(StoreError.Full, full);
        }

        try
        {
            PosixFile.Allocate(file, 0, layout.DataOffset);

            // Through a mapping: hugetlbfs has no write.
            using (var head = MemoryMapping.Create(file, 0, layout.DataOffset, writable: true, shared: true))
            {
                var header = (ArenaHeader*)head.Address;
                *header = layout;
                ArenaHeader.WriteOwner(header, dataFolder);
            }

            PosixFile.Allocate(file, 0, bytes);
        }
        catch (IOException failure) when (Errno.IsDiskFull(failure))
        {
            Remove(folder);
            throw new StoreException(StoreError.Full, full, inner: failure);
        }
    }
}
