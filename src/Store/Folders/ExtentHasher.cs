using System.Buffers;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Folders;

/// <summary>
/// Hashes ranges of files through one pooled buffer. Reads with <c>pread</c> and not through a mapping: a mapped file that somebody shortens
/// meanwhile ends the process with SIGBUS, a short read is just a short read. One per worker; not thread-safe.
/// </summary>
internal sealed class ExtentHasher : IDisposable
{
    // Large enough for the vector hash to run at full speed, small enough to stay in the second-level cache between the copy and the hash.
    private const int PieceBytes = 1 << 20;

    private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
    private readonly Blake3Hasher _hasher = new();

    /// <summary>The digest of a range; null when the file ends before the range does.</summary>
    /// <exception cref="IOException">The read failed.</exception>
    public Digest? Hash(SafeFileHandle file, long offset, int length)
    {
        _hasher.Reset();
        for (var done = 0; done < length;)
        {
            var read = RandomAccess.Read(file, _buffer.AsSpan(0, Math.Min(PieceBytes, length - done)), offset + done);
            if (read == 0)
            {
                return null;
            }

            _hasher.Update(_buffer.AsSpan(0, read));
            done += read;
        }

        return _hasher.Finish();
    }

    public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);
}
