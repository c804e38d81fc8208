using System.Buffers.Binary;
using FASTER.core;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Store.References;

/// <summary>
/// Keeps the journal's last commit, the record of how far the log is valid, in one file: digest (32 bytes) of the rest, commit number (8, little-endian), FASTER's
/// record. FASTER's own manager believes whatever the file says; a damaged record would send it anywhere in the log.
/// </summary>
internal sealed class JournalCommits(string folder) : ILogCommitManager
{
    private const int HeadBytes = Digest.Size + 8;

    private readonly string _path = Path.Combine(folder, "commit");
    private Exception? _failure;

    /// <summary>Throws what a commit failed with: FASTER calls from its IO threads, where an exception would be nobody's.</summary>
    public void ThrowIfFailed()
    {
        if (Interlocked.Exchange(ref _failure, null) is { } failure)
        {
            throw new IOException(failure.Message, failure) { HResult = failure.HResult };
        }
    }

    public void Commit(long beginAddress, long untilAddress, byte[] commitMetadata, long commitNum, bool forceWriteMetadata)
    {
        var record = new byte[HeadBytes + commitMetadata.Length];
        BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(Digest.Size), commitNum);
        commitMetadata.CopyTo(record.AsSpan(HeadBytes));
        Blake3.Hash(record.AsSpan(Digest.Size)).CopyTo(record);
        try
        {
            DataFolder.WriteDurably(_path, record);
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            _failure = failure;
        }
    }

    /// <exception cref="InvalidDataException">There is a record and it is damaged.</exception>
    public IEnumerable<long> ListCommits() => Read() is { } record ? [BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(Digest.Size))] : [];

    public byte[] GetCommitMetadata(long commitNum) => Read()?[HeadBytes..] ?? [];

    public void RemoveCommit(long commitNum)
    {
        // There is only ever the last one.
    }

    public void RemoveAllCommits() => File.Delete(_path);

    public void OnRecovery(long commitNum)
    {
        // Nothing else to clear away.
    }

    public void Dispose()
    {
    }

    private byte[]? Read()
    {
        if (!File.Exists(_path))
        {
            return null;
        }

        var record = File.ReadAllBytes(_path);
        return record.Length > HeadBytes && Blake3.Hash(record.AsSpan(Digest.Size)) == new Digest(record.AsSpan(0, Digest.Size))
            ? record
            : throw new InvalidDataException($"{_path} does not hold what was written to it");
    }
}
