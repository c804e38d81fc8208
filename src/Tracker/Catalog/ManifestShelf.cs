using System.Collections.Concurrent;
using System.Globalization;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Tracker.Catalog;

/// <summary>
/// Manifests as files named by their digests. Each was checked when it came in: the digest, and that it is a canonical manifest. One that no version points
/// at (not published yet, or removed) is kept for a while after its last use and then deleted.
/// </summary>
internal sealed class ManifestShelf : IDisposable
{
    /// <summary>Largest manifest that is taken: at 16 MiB per shard some tens of TiB of checkpoint.</summary>
    public const int MaxManifestBytes = 256 << 20;

    /// <summary>How long a manifest without a version stays after it came in or was last asked for.</summary>
    internal static readonly TimeSpan KeepUnreferenced = TimeSpan.FromMinutes(10);

    /// <summary>Decoded manifests kept in memory, so that many peers asking at once (a tracker that has just restarted) decode each only once.</summary>
    private const int KeptDecoded = 8;

    private readonly string _folder;
    private readonly TimeProvider _time;

    /// <summary>What is on the shelf, with the time of the last use.</summary>
    private readonly ConcurrentDictionary<Digest, long> _lastUse = [];

    /// <summary>Held while a file appears or goes together with its place in <see cref="_lastUse"/>.</summary>
    private readonly Lock _fileLock = new();

    /// <summary>Manifests checked at the same time: each needs its size in memory. Receiving one needs none, so a slow sender holds up nobody.</summary>
    private readonly SemaphoreSlim _checks = new(2);

    private readonly Lock _decodedLock = new();
    private readonly LinkedList<(Digest Digest, Task<StoredManifest?> Content)> _decoded = new();
    private long _temporary;

    /// <summary>Opens the shelf in a folder, which the caller has locked, and clears away what a crash left half-written.</summary>
    public ManifestShelf(string folder, TimeProvider time)
    {
        (_folder, _time) = (folder, time);
        Directory.CreateDirectory(folder);
        foreach (var path in Directory.EnumerateFiles(folder))
        {
            var name = Path.GetFileName(path);
            if (name.EndsWith(DurableFile.TemporarySuffix, StringComparison.Ordinal))
            {
                File.Delete(path);
            }
            else if (Digest.TryParse(name, out var digest))
            {
                _lastUse[digest] = time.GetTimestamp();
            }
        }
    }

    public bool Contains(Digest digest) => _lastUse.ContainsKey(digest);

    /// <summary>Takes a manifest from a stream: hashed on the way to disk, then decoded, and only then on the shelf. One that is there already is not read.</summary>
    /// <exception cref="ManifestException">The bytes have another digest, or are no manifest.</exception>
    /// <exception cref="InvalidDataException">There are more than <see cref="MaxManifestBytes"/>.</exception>
    public async Task PutAsync(Digest digest, Stream source, CancellationToken cancellationToken)
    {
        if (Touch(digest))
        {
            return;
        }

        var temporary = Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"{digest}-{Interlocked.Increment(ref _temporary)}{DurableFile.TemporarySuffix}"));
        try
        {
            var length = await ReceiveAsync(digest, source, temporary, cancellationToken).ConfigureAwait(false);
            await CheckAsync(digest, temporary, length, cancellationToken).ConfigureAwait(false);
            lock (_fileLock)
            {
                DurableFile.Publish(temporary, PathOf(digest));
                _lastUse[digest] = _time.GetTimestamp();
            }
        }
        finally
        {
            File.Delete(temporary);
        }
    }

    /// <summary>Opens the bytes of a manifest; null when it is not here. The caller disposes the stream.</summary>
    public FileStream? OpenRead(Digest digest)
    {
        if (!Touch(digest))
        {
            return null;
        }

        try
        {
            return new FileStream(PathOf(digest), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0, useAsync: true);
        }
        catch (FileNotFoundException)
        {
            _lastUse.TryRemove(digest, out _);
            return null;
        }
    }

    /// <summary>What a manifest says; null when it is not here, or what is here is damaged. Callers that ask at the same time share one decoding.</summary>
    public Task<StoredManifest?> LoadAsync(Digest digest)
    {
        if (!Touch(digest))
        {
            return Task.FromResult<StoredManifest?>(null);
        }

        lock (_decodedLock)
        {
            for (var node = _decoded.First; node is not null; node = node.Next)
            {
                if (node.Value.Digest == digest)
                {
                    _decoded.Remove(node);
                    if (node.Value.Content is { IsCompleted: true } done && (!done.IsCompletedSuccessfully || done.Result is null))
                    {
                        break;
                    }

                    _decoded.AddFirst(node);
                    return node.Value.Content;
                }
            }

            var content = Task.Run(() => DecodeAsync(digest));
            _decoded.AddFirst((digest, content));
            if (_decoded.Count > KeptDecoded)
            {
                _decoded.RemoveLast();
            }

            return content;
        }
    }

    /// <summary>Deletes manifests that no version points at and nobody used for a while. Returns how many.</summary>
    public int Expire(Func<Digest, bool> isReferenced)
    {
        var deleted = 0;
        foreach (var (digest, lastUse) in _lastUse)
        {
            if (isReferenced(digest) || _time.GetElapsedTime(lastUse) < KeepUnreferenced)
            {
                continue;
            }

            lock (_fileLock)
            {
                // Removes the pair only as it was seen: not if somebody used the manifest meanwhile.
                if (_lastUse.TryRemove(new(digest, lastUse)))
                {
                    File.Delete(PathOf(digest));
                    deleted++;
                }
            }
        }

        return deleted;
    }

    /// <summary>Notes that a manifest is in use; false when it is not here.</summary>
    public bool Touch(Digest digest)
    {
        while (_lastUse.TryGetValue(digest, out var before))
        {
            if (_lastUse.TryUpdate(digest, _time.GetTimestamp(), before))
            {
                return true;
            }
        }

        return false;
    }

    public void Dispose() => _checks.Dispose();

    private static async Task<int> ReceiveAsync(Digest digest, Stream source, string temporary, CancellationToken cancellationToken)
    {
        var hasher = new Blake3Hasher();
        var buffer = new byte[256 << 10];
        var length = 0L;
        await using var file = new FileStream(temporary, FileMode.CreateNew, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
        while (await source.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is > 0 and var read)
        {
            length += read;
            if (length > MaxManifestBytes)
            {
                throw new InvalidDataException($"a manifest has at most {MaxManifestBytes} bytes");
            }

            hasher.Update(buffer.AsSpan(0, read));
            await file.WriteAsync(buffer.AsMemory(0, read), cancellationToken).ConfigureAwait(false);
        }

        var actual = hasher.Finish();
        if (actual != digest)
        {
            throw new ManifestException($"the {length} bytes sent as manifest {digest} have the digest {actual}");
        }

        file.Flush(flushToDisk: true);
        return (int)length;
    }

    private async Task CheckAsync(Digest digest, string path, int length, CancellationToken cancellationToken)
    {
        await _checks.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            Check(digest, await ReadWholeAsync(path, length, cancellationToken).ConfigureAwait(false));
        }
        finally
        {
            _checks.Release();
        }
    }

    private async Task<StoredManifest?> DecodeAsync(Digest digest)
    {
        try
        {
            await using var file = OpenRead(digest);
            return file is null ? null : Check(digest, await ReadWholeAsync(file.Name, (int)file.Length, CancellationToken.None).ConfigureAwait(false));
        }
        catch (ManifestException)
        {
            // Damaged on disk. Off the shelf with it, so that a publisher can put it again.
            _lastUse.TryRemove(digest, out _);
            return null;
        }
    }

    private static StoredManifest Check(Digest digest, byte[] bytes)
    {
        if (Blake3.Hash(bytes) != digest)
        {
            throw new ManifestException($"the manifest {digest} is damaged on disk");
        }

        var manifest = Manifest.Decode(bytes);
        return new StoredManifest(manifest.Shards, manifest.TotalBytes, manifest.Files.Length);
    }

    private static async Task<byte[]> ReadWholeAsync(string path, int length, CancellationToken cancellationToken)
    {
        var bytes = new byte[length];
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 0, useAsync: true);
        await file.ReadExactlyAsync(bytes, cancellationToken).ConfigureAwait(false);
        return bytes;
    }

    private string PathOf(Digest digest) => Path.Combine(_folder, digest.ToString());
}
