using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Adopting;

/// <summary>
/// The arena of another node on this host, open for reading. It is read with pread and never mapped: its owner may cut it short at any time, and a mapping would
/// answer that with SIGBUS. Whoever reads asks <see cref="IsUnchanged"/> afterwards, and what is not hashed each time, <see cref="Holds"/>.
/// </summary>
public sealed class ForeignArena : IDisposable
{
    private readonly SharedFile _file;
    private readonly ArenaHeader _header;
    private readonly long _length;
    private int _disposed;

    private ForeignArena(string path, SafeFileHandle handle, in ArenaHeader header, long length) =>
        (Path, _file, _header, _length, IsOfOwnUser) =
            (path, new SharedFile(handle), header, length, PosixFile.Stat(handle).IsOfOwnUser);

    public string Path { get; }

    /// <summary>The random number that stood in the arena's header when it was opened.</summary>
    public Guid Nonce => _header.Nonce;

    /// <summary>Whether nobody can write to the arena who could not write to this store's own; see <see cref="ForeignFile.IsOfOwnUser"/>.</summary>
    public bool IsOfOwnUser { get; }

    /// <summary>The open file; owned by this.</summary>
    public SafeFileHandle Handle => _file.Handle;

    /// <summary>Opens an arena and reads its nonce; whether it is the one of the node that named it is for the caller to find out.</summary>
    /// <param name="path">As the other node said it: untrusted.</param>
    /// <param name="problem">Why it cannot be opened, one clause for people; null when it is open.</param>
    public static ForeignArena? TryOpen(string path, out string? problem)
    {
        if (!ForeignFile.IsPlain(path))
        {
            problem = "it named its arena by a path that is not absolute and plain";
            return null;
        }

        SafeFileHandle? handle = null;
        try
        {
            handle = PosixFile.OpenRead(path, followSymlinks: false);
            var length = RandomAccess.GetLength(handle);
            if (Arena.ReadHeader(handle) is { } header && header.IsSound(length))
            {
                problem = null;
                return new ForeignArena(path, handle, header, length);
            }

            problem = $"{path} is no arena of this version";
        }
        catch (IOException failure)
        {
            problem = failure.Message;
        }

        handle?.Dispose();
        return null;
    }

    /// <summary>
    /// Whether the owner that had the arena open when this was opened is still the last one that did. False also when the file has been cut short or cannot be read.
    /// </summary>
    public bool IsUnchanged()
    {
        Span<byte> now = stackalloc byte[16];
        try
        {
            return RandomAccess.GetLength(Handle) == _length
                && RandomAccess.Read(Handle, now, ArenaHeader.NonceOffset) == now.Length
                && MemoryMarshal.Read<Guid>(now) == Nonce;
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>
    /// Whether the arena's directory says that this shard lies at this offset. Its owner takes an entry out before the block may be used again, so bytes read before that was
    /// asked were the shard's, whatever anybody promised. False also when the file cannot be read.
    /// </summary>
    public bool Holds(ShardInfo shard, long offset)
    {
        var (unit, within) = Math.DivRem(offset - _header.DataOffset, _header.UnitBytes);
        if (offset < _header.DataOffset || within != 0 || unit >= _header.Units)
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[ArenaEntry.Bytes];
        try
        {
            return RandomAccess.Read(Handle, bytes, _header.DirectoryOffset + (unit * ArenaEntry.Bytes)) == bytes.Length
                && MemoryMarshal.Read<ArenaEntry>(bytes) is { State: ArenaEntry.Live } entry
                && (entry.Digest, entry.Size) == (shard.Digest, shard.Size);
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException)
        {
            return false;
        }
    }

    /// <summary>Closes the arena; ranges borrowed from it stay readable.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _file.Release();
        }
    }

    /// <summary>Keeps the file open for a borrowed range, until <see cref="EndUse"/>; false when this is disposed and nobody uses it.</summary>
    internal bool TryUse() => _file.TryShare();

    internal void EndUse() => _file.Release();
}
