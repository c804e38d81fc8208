using FASTER.core;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Journals;

namespace P2PWeights.Tracker.Catalog;

/// <summary>
/// The changes of the catalog in order, on disk: a FasterLog. An entry is acknowledged when it and the log's commit record are on disk; what a killed process
/// had not committed is not there after the next start. Each entry starts with the digest of its bytes. One writer at a time.
/// A journal is made under another name and renamed when its first entry, which is empty, is committed: so one without a commit record is damaged, never new.
/// </summary>
internal sealed class CatalogJournal : IDisposable
{
    private static readonly TimeSpan CommitDeadline = TimeSpan.FromSeconds(30);

    private readonly string _folder;
    private readonly IDevice _device;
    private readonly FasterLog _log;
    private readonly JournalCommits _commits;

    private CatalogJournal(string folder, JournalCommits commits)
    {
        (_folder, _commits) = (folder, commits);
        _device = Devices.CreateLogDevice(Path.Combine(folder, "catalog.log"));
        try
        {
            _log = new FasterLog(new FasterLogSettings
            {
                LogDevice = _device,
                LogCommitManager = commits,
                // Entries are a few hundred bytes and rare: small pages keep the idle tracker small, small segments let a snapshot give disk space back.
                PageSizeBits = 16,
                MemorySizeBits = 18,
                SegmentSizeBits = 22,
            });
            commits.ThrowUnlessRecovered(_log);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Where the next entry goes.</summary>
    public long Tail => _log.TailAddress;

    /// <summary>Whether there is a journal in a folder, sound or not.</summary>
    public static bool Exists(string folder) => Directory.Exists(folder);

    /// <summary>Opens the journal in a folder at its last commit; makes an empty one when there is none.</summary>
    /// <exception cref="InvalidDataException">What is there is damaged, or no journal.</exception>
    public static async Task<CatalogJournal> OpenAsync(string folder)
    {
        if (!Exists(folder))
        {
            await MakeAsync(folder).ConfigureAwait(false);
        }

        var commits = new JournalCommits(folder);
        return commits.Exists
            ? new CatalogJournal(folder, commits)
            : throw new InvalidDataException($"the journal in {folder} is damaged: the record of its last commit, the file 'commit', is gone");
    }

    /// <summary>Calls <paramref name="take"/> with every committed entry, oldest first. The bytes may be kept.</summary>
    /// <exception cref="InvalidDataException">Committed entries are missing.</exception>
    public void Replay(Action<ReadOnlyMemory<byte>> take)
    {
        var end = _log.CommittedUntilAddress;
        using var entries = _log.Scan(_log.BeginAddress, end);
        while (Next(entries) is { } entry)
        {
            if (entry.Length < Digest.Size || Blake3.Hash(entry.AsSpan(Digest.Size)) != new Digest(entry.AsSpan(0, Digest.Size)))
            {
                throw new InvalidDataException($"the journal in {_folder} is damaged: an entry does not have the digest written with it");
            }

            if (entry.Length > Digest.Size)
            {
                take(entry.AsMemory(Digest.Size));
            }
        }

        // The scan skips the rest of a page when it cannot follow its entries. In an earlier page that shows as a gap in the numbers, in the last one here.
        if (entries.NextAddress != end)
        {
            throw new InvalidDataException($"the journal in {_folder} is damaged: not all of its entries up to the last commit can be read");
        }
    }

    /// <summary>Adds an entry; done when it is on disk. There is no way back half-way, so this cannot be cancelled.</summary>
    /// <exception cref="IOException">The disk failed. FASTER's own exceptions say the same.</exception>
    public async Task AppendAsync(ReadOnlyMemory<byte> entry)
    {
        _log.Enqueue((byte[])[.. Blake3.Hash(entry.Span).ToByteArray(), .. entry.Span]);

        // FASTER opens its files with O_SYNC, so their bytes are on disk; the commit record, written after them, syncs the folder that names them all.
        using var deadline = new CancellationTokenSource(CommitDeadline);
        try
        {
            await _log.CommitAsync(deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            // Whether it is there will be known after a restart.
            throw new IOException($"the disk did not take an entry within {CommitDeadline.TotalSeconds:0} s", e);
        }

        _commits.ThrowIfFailed();
    }

    /// <summary>Gives up entries before an address: a snapshot has them. Takes effect with the next commit, in whole segments.</summary>
    public void Forget(long before) => _log.TruncateUntil(before);

    public void Dispose()
    {
        _log?.Dispose();
        _device.Dispose();
    }

    private byte[]? Next(FasterLogScanIterator entries)
    {
        try
        {
            return entries.GetNext(out var entry, out var length, out _) ? entry[..length] : null;
        }
        catch (FasterException e)
        {
            throw new InvalidDataException($"the journal in {_folder} is damaged: {e.Message}", e);
        }
    }

    private static async Task MakeAsync(string folder)
    {
        var unfinished = folder + DurableFile.TemporarySuffix;
        if (Directory.Exists(unfinished))
        {
            Directory.Delete(unfinished, recursive: true);
        }

        Directory.CreateDirectory(unfinished);
        using (var journal = new CatalogJournal(unfinished, new JournalCommits(unfinished)))
        {
            await journal.AppendAsync(ReadOnlyMemory<byte>.Empty).ConfigureAwait(false);
        }

        Directory.Move(unfinished, folder);
        PosixFile.SyncFolder(Path.GetDirectoryName(folder)!);
    }
}
