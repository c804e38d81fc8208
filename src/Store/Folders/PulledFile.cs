using Microsoft.Win32.SafeHandles;
using P2PWeights.Native;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Folders;

/// <summary>
/// One file of a <see cref="CheckpointFolder"/>: unfinished under its partial name, or final. Knows which of its extents hold their bytes.
/// Several threads may write at once; each extent has one writer at a time, because what is copied there is not verified yet and must not fall on bytes that are. It is open only while extents are missing and one has
/// been written: a checkpoint may have more files than a process may have descriptors.
/// </summary>
internal sealed class PulledFile(FolderHandle folder, ManifestFile file, string partialPath, IReadOnlyList<FileExtent> extents) : IDisposable
{
    private readonly Lock _opening = new();
    private readonly bool[] _inPlace = new bool[extents.Count];

    /// <summary>The extents that have a writer, and what ends when it is through, once anybody waits for that. Under the lock.</summary>
    private readonly Dictionary<int, TaskCompletionSource?> _writers = [];

    private SafeFileHandle? _handle;
    private int _missing = extents.Count;

    /// <summary>Whether it has its final name. Nobody writes to it then.</summary>
    public bool IsFinal { get; set; }

    /// <summary>Whether there is an unfinished file.</summary>
    public bool HasPartial { get; set; }

    /// <summary>Path as it is named now, relative to the folder.</summary>
    public string RelativePath => IsFinal ? file.Path : partialPath;

    public string FullPath => Path.Combine(folder.Path, RelativePath);

    public IReadOnlyList<FileExtent> Extents => extents;

    /// <summary>Whether an extent holds its bytes, proven by a hash in this process.</summary>
    public bool IsInPlace(int extent) => Volatile.Read(ref _inPlace[extent]);

    public void MarkInPlace(int extent)
    {
        if (!Interlocked.Exchange(ref _inPlace[extent], true))
        {
            Interlocked.Decrement(ref _missing);
        }
    }

    /// <summary>Writes the verified bytes of an extent, if nobody else does meanwhile; not synced.</summary>
    /// <exception cref="StoreException">Full, NotAllowed or Io.</exception>
    public async ValueTask WriteAsync(int extent, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        try
        {
            while (!IsInPlace(extent))
            {
                if (TryBeginWrite(extent, out var other) is not { } handle)
                {
                    FaultPoints.Reach(FaultPoint.WriteWaits);
                    await other.WaitAsync(cancellationToken).ConfigureAwait(false);
                    continue;
                }

                try
                {
                    await RandomAccess.WriteAsync(handle, bytes, extents[extent].Offset, cancellationToken).ConfigureAwait(false);
                    MarkInPlace(extent);
                }
                finally
                {
                    EndWrite(extent);
                }
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw FolderErrors.Wrap(error, $"'{FullPath}' cannot be written");
        }
    }

    /// <summary>Copies the bytes of an extent from another file inside the kernel, and hashes them here, where nobody else writes. Blocks the thread.</summary>
    /// <returns>False when the kernel cannot copy between the two, or somebody else writes to the extent.</returns>
    /// <exception cref="StoreException">WrongDigest: they were not the shard's; or Full, NotAllowed or Io.</exception>
    public bool TryCopy(int extent, SafeFileHandle source, long sourceOffset)
    {
        var (shard, offset) = extents[extent];
        try
        {
            if (TryBeginWrite(extent, out _) is not { } handle)
            {
                return false;
            }

            try
            {
                if (IsInPlace(extent))
                {
                    return true;
                }

                FaultPoints.Reach(FaultPoint.CopyBegins);
                if (RangeCopy.TryCopy(source, sourceOffset, handle, offset, shard.Size) == RangeCopied.No)
                {
                    return false;
                }

                using var hasher = new ExtentHasher();
                if (hasher.Hash(handle, offset, shard.Size) is var actual && actual != shard.Digest)
                {
                    throw new StoreException(
                        StoreError.WrongDigest,
                        $"shard {shard.Digest} ({shard.Size} bytes) was copied to '{FullPath}' and hashes to {actual} there; it does not count, fetch it from another source",
                        shard.Digest);
                }

                MarkInPlace(extent);
                return true;
            }
            finally
            {
                EndWrite(extent);
            }
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw FolderErrors.Wrap(error, $"'{FullPath}' cannot be written");
        }
    }

    /// <summary>Makes the unfinished file's bytes durable; creates it when the checkpoint's file is empty.</summary>
    public void Sync()
    {
        // Through a handle opened anew, for most files: fsync covers the file, not what one handle wrote, and an error that a write-back in between
        // met is kept for whoever syncs first (Linux, errseq_t).
        lock (_opening)
        {
            RandomAccess.FlushToDisk(OpenPartial());
            Close();
        }
    }

    /// <summary>Gives the synced file its final name.</summary>
    public void Finish()
    {
        folder.Rename(partialPath, Path.GetFileName(file.Path));
        (IsFinal, HasPartial) = (true, false);
        Dispose();
    }

    /// <summary>Removes an unfinished file that lies beside the final one: somebody copied it there, or the final one.</summary>
    public void DropPartial()
    {
        folder.Delete(partialPath);
        HasPartial = false;
    }

    public void Dispose()
    {
        lock (_opening)
        {
            Close();
        }
    }

    /// <summary>The file, for the only writer of an extent; null when there is one already.</summary>
    /// <param name="other">Ends when the one there is through.</param>
    private SafeFileHandle? TryBeginWrite(int extent, out Task other)
    {
        lock (_opening)
        {
            if (_writers.TryGetValue(extent, out var writer))
            {
                _writers[extent] = writer ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                other = writer.Task;
                return null;
            }

            other = Task.CompletedTask;
            var handle = OpenPartial();
            _writers.Add(extent, null);
            return handle;
        }
    }

    private void EndWrite(int extent)
    {
        TaskCompletionSource? writer;
        lock (_opening)
        {
            _writers.Remove(extent, out writer);
            if (_writers.Count == 0 && Volatile.Read(ref _missing) == 0)
            {
                Close();
            }
        }

        writer?.SetResult();
    }

    private void Close()
    {
        _handle?.Dispose();
        _handle = null;
    }

    /// <summary>
    /// The unfinished file, at its full size with its blocks reserved: so the disk is found full before the first byte of a file is fetched, not at its last.
    /// Called under the lock. That is held across IO, but only by the call that opens: the others find the handle.
    /// </summary>
    private SafeFileHandle OpenPartial()
    {
        if (_handle is not null)
        {
            return _handle;
        }

        if (Path.GetDirectoryName(file.Path) is { Length: > 0 } parent)
        {
            folder.CreateFolder(parent);
        }

        var existing = folder.OpenFile(partialPath, FileOpening.ReadWrite);
        var handle = existing
            ?? folder.OpenFile(partialPath, FileOpening.Create)
            ?? throw new DirectoryNotFoundException($"'{FullPath}': its folder was removed");
        try
        {
            Reserve(handle, isNew: existing is null);
        }
        catch
        {
            handle.Dispose();
            throw;
        }

        HasPartial = true;
        return _handle = handle;
    }

    private void Reserve(SafeFileHandle handle, bool isNew)
    {
        var before = PosixFile.Stat(handle);
        if (before.Size > file.Size)
        {
            RandomAccess.SetLength(handle, file.Size);
        }

        if (file.Size == 0)
        {
            return;
        }

        try
        {
            PosixFile.Allocate(handle, 0, file.Size);
        }
        catch (NativeException error) when (Errno.IsDiskFull(error))
        {
            // A reservation that failed half-way keeps what it got; others can use that better.
            RandomAccess.SetLength(handle, Math.Min(before.Size, file.Size));
            if (isNew)
            {
                folder.Delete(partialPath);
            }

            throw FolderErrors.Full(FullPath, file.Size - before.AllocatedBytes, error);
        }
    }
}
