using System.Buffers;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Folders;

/// <summary>Hashes the extents of a file that is to be published, and proves that the file stayed the same meanwhile.</summary>
public static class FileHasher
{
    /// <summary>Most extents in memory at once while their bytes are handed out: 16 of 16 MiB fill any disk's queue.</summary>
    private const int MaxWholeExtents = 16;

    // The kernel stamps files with the time of its last tick, 1 to 10 ms apart: a second write within a tick leaves the mtime as it was.
    private static readonly TimeSpan ClockTick = TimeSpan.FromMilliseconds(20);

    /// <summary>Hashes every extent, on all cores. Allocates nothing per extent.</summary>
    /// <param name="file">Open for reading; not disposed.</param>
    /// <param name="path">Its path, for messages.</param>
    /// <param name="identity">Its identity from before anything of it was read, the header included.</param>
    /// <param name="lengths">Bytes of the extents in file order, as cut; they add up to the file's size.</param>
    /// <param name="onExtent">Is given every shard with its bytes, from several threads and in no order, to copy them; the bytes are valid until its task ends. Null when only digests are wanted.</param>
    /// <param name="progress">Bytes hashed of this file so far.</param>
    /// <returns>The shards, in file order.</returns>
    /// <exception cref="StoreException"><see cref="StoreError.NotAllowed"/>: the file changed since <paramref name="identity"/>; <see cref="StoreError.Io"/>: it cannot be read.</exception>
    public static async Task<ImmutableArray<ShardInfo>> HashAsync(
        SafeFileHandle file,
        string path,
        FileIdentity identity,
        IReadOnlyList<int> lengths,
        Func<ShardInfo, ReadOnlyMemory<byte>, CancellationToken, ValueTask>? onExtent,
        IProgress<long>? progress,
        CancellationToken cancellationToken)
    {
        var offsets = new long[lengths.Count];
        for (var i = 1; i < offsets.Length; i++)
        {
            offsets[i] = offsets[i - 1] + lengths[i - 1];
        }

        if (lengths.Count > 0 && offsets[^1] + lengths[^1] != identity.Size)
        {
            throw new ArgumentException($"the extents end at {offsets[^1] + lengths[^1]}, the file at {identity.Size}", nameof(lengths));
        }

        await LeaveTickAsync(identity, cancellationToken).ConfigureAwait(false);
        var shards = new ShardInfo[lengths.Count];
        var hashed = 0L;
        if (onExtent is null)
        {
            await Cores.ForAsync(lengths.Count, int.MaxValue, () => new ExtentHasher(), HashInPieces, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            var largest = lengths.DefaultIfEmpty().Max();
            await Cores.ForAsync(lengths.Count, MaxWholeExtents, () => new WholeExtent(largest), HashWholeAsync, cancellationToken).ConfigureAwait(false);
        }

        if (FileIdentity.Of(file) != identity)
        {
            throw Changed(path);
        }

        return ImmutableCollectionsMarshal.AsImmutableArray(shards);

        ValueTask HashInPieces(ExtentHasher hasher, int i)
        {
            try
            {
                Done(i, hasher.Hash(file, offsets[i], lengths[i]) ?? throw Changed(path));
                return default;
            }
            catch (IOException error)
            {
                throw Unreadable(error);
            }
        }

        async ValueTask HashWholeAsync(WholeExtent extent, int i)
        {
            ReadOnlyMemory<byte> bytes;
            try
            {
                bytes = extent.Read(file, offsets[i], lengths[i]) ?? throw Changed(path);
            }
            catch (IOException error)
            {
                throw Unreadable(error);
            }

            Done(i, Blake3.Hash(bytes.Span));
            await onExtent!(shards[i], bytes, cancellationToken).ConfigureAwait(false);
        }

        StoreException Unreadable(IOException error) => FolderErrors.Wrap(error, $"'{path}' cannot be read");

        void Done(int i, Digest digest)
        {
            shards[i] = new ShardInfo(digest, lengths[i]);
            progress?.Report(Interlocked.Add(ref hashed, lengths[i]));
        }
    }

    private static StoreException Changed(string path) =>
        new(StoreError.NotAllowed, $"'{path}' changed while it was hashed: nothing was published. Publish again when nobody writes to it");

    /// <summary>Waits until a write from now on would show in the mtime. File systems with whole-second times stay a gap.</summary>
    private static async ValueTask LeaveTickAsync(FileIdentity identity, CancellationToken cancellationToken)
    {
        var age = DateTime.UtcNow - DateTime.UnixEpoch.AddTicks(identity.ModifiedNs / TimeSpan.NanosecondsPerTick);
        if (age < ClockTick)
        {
            await Task.Delay(ClockTick, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>One worker's pooled buffer for an extent at a time. Read with <c>pread</c>, not mapped: see <see cref="ExtentHasher"/>.</summary>
    private sealed class WholeExtent(int capacity) : IDisposable
    {
        private readonly byte[] _buffer = ArrayPool<byte>.Shared.Rent(capacity);

        /// <summary>The bytes of a range; null when the file ends before.</summary>
        public ReadOnlyMemory<byte>? Read(SafeFileHandle file, long offset, int length)
        {
            for (var done = 0; done < length;)
            {
                var read = RandomAccess.Read(file, _buffer.AsSpan(done, length - done), offset + done);
                if (read == 0)
                {
                    return null;
                }

                done += read;
            }

            return _buffer.AsMemory(0, length);
        }

        public void Dispose() => ArrayPool<byte>.Shared.Return(_buffer);
    }
}
