using System.Buffers.Binary;
using FASTER.core;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.Journals;

/// <summary>
/// Keeps the last commit of a FASTER log, the record of how far the log is valid, in the file <c>commit</c> of the log's folder: digest (32 bytes) of the rest,
/// commit number, first and last address of the log (8 each, little-endian), FASTER's record. FASTER's own manager believes whatever its file says, and a log that
/// finds no usable record starts empty without a word; so whoever opens a log with this asks <see cref="ThrowUnlessRecovered"/> before reading it.
/// </summary>
public sealed class JournalCommits(string folder) : ILogCommitManager
{
    private const int BeginAt = Digest.Size + 8;
    private const int EndAt = BeginAt + 8;
    private const int HeadBytes = EndAt + 8;

    private readonly string _path = Path.Combine(folder, "commit");
    private Exception? _failure;

    /// <summary>Whether there is a record, sound or not.</summary>
    public bool Exists => File.Exists(_path);

    /// <summary>Throws what a commit failed with: FASTER calls from its IO threads, where an exception would be nobody's.</summary>
    /// <exception cref="IOException">The record could not be written.</exception>
    public void ThrowIfFailed()
    {
        if (Interlocked.Exchange(ref _failure, null) is { } failure)
        {
            throw new IOException(failure.Message, failure) { HResult = failure.HResult };
        }
    }

    /// <summary>Makes sure that a log which was just opened holds exactly what its last commit says.</summary>
    /// <exception cref="InvalidDataException">The record is damaged, or the log was not opened by it.</exception>
    public void ThrowUnlessRecovered(FasterLog log)
    {
        var (begin, end) = Read() is { } record
            ? (BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(BeginAt)), BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(EndAt)))
            : (log.BeginAddress, log.BeginAddress);
        if (log.BeginAddress != begin || log.CommittedUntilAddress != end)
        {
            throw new InvalidDataException($"the log in {folder} goes from {log.BeginAddress} to {log.CommittedUntilAddress}, and its last commit says from {begin} to {end}");
        }
    }

    /// <inheritdoc/>
    public void Commit(long beginAddress, long untilAddress, byte[] commitMetadata, long commitNum, bool forceWriteMetadata)
    {
        var record = new byte[HeadBytes + commitMetadata.Length];
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(Digest.Size), commitNum);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(BeginAt), beginAddress);
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(EndAt), untilAddress);
        commitMetadata.CopyTo(record.AsSpan(HeadBytes));
        Blake3.Hash(record.AsSpan(Digest.Size)).CopyTo(record);
        try
        {
            DurableFile.Write(_path, record);
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            _failure = failure;
        }
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidDataException">There is a record and it is damaged.</exception>
    public IEnumerable<long> ListCommits() => Read() is { } record ? [BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(Digest.Size))] : [];

    /// <inheritdoc/>
    public byte[] GetCommitMetadata(long commitNum) => Read()?[HeadBytes..] ?? [];

    /// <inheritdoc/>
    public void RemoveCommit(long commitNum)
    {
        // There is only ever the last one.
    }

    /// <inheritdoc/>
    public void RemoveAllCommits() => File.Delete(_path);

    /// <inheritdoc/>
    public void OnRecovery(long commitNum)
    {
        // Nothing else to clear away.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private byte[]? Read()
    {
        if (!Exists)
        {
            return null;
        }

        var record = File.ReadAllBytes(_path);
        return record.Length > HeadBytes && Blake3.Hash(record.AsSpan(Digest.Size)) == new Digest(record.AsSpan(0, Digest.Size))
            ? record
            : throw new InvalidDataException($"{_path} does not hold what was written to it");
    }
}
