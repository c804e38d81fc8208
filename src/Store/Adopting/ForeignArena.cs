using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Memory;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Adopting;

/// <summary>
/// The arena of another node on this host, open for reading. It is read with pread and never mapped: its owner may cut it short at any time, and a mapping would
/// answer that with SIGBUS. Whoever reads asks <see cref="IsUnchanged"/> afterwards.
/// </summary>
public sealed class ForeignArena : IDisposable
{
    private readonly SharedFile _file;
    private readonly long _length;
    private int _disposed;

    private ForeignArena(string path, SafeFileHandle handle, Guid nonce, long length) =>
        (Path, _file, Nonce, _length) = (path, new SharedFile(handle), nonce, length);

    public string Path { get; }

    /// <summary>The random number that stood in the arena's header when it was opened.</summary>
    public Guid Nonce { get; }

    /// <summary>The open file; owned by this.</summary>
    public SafeFileHandle Handle => _file.Handle;

    /// <summary>Opens an arena and reads its nonce; whether it is the one of the node that named it is for the caller to find out.</summary>
    /// <param name="path">As the other node said it: untrusted.</param>
    /// <param name="problem">Why it cannot be opened, one clause for people; null when it is open.</param>
    public static ForeignArena? TryOpen(string path, out string? problem)
    {
        if (!ForeignFile.IsPlain(path))
        {
            problem = "it named its arena by a path that is not absolute";
            return null;
        }

        SafeFileHandle? handle = null;
        try
        {
            handle = PosixFile.OpenRead(path, followSymlinks: false);
            if (Arena.ReadHeader(handle) is { Magic: ArenaHeader.ExpectedMagic, Version: ArenaHeader.ExpectedVersion } header)
            {
                problem = null;
                return new ForeignArena(path, handle, header.Nonce, RandomAccess.GetLength(handle));
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
