using FASTER.core;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Journals;

namespace P2PWeights.Store.References;

/// <summary>
/// The durable list of referenced files, a FASTER log. It alone says which references there are; the index's checkpoint only saves time. Entries are appended in any
/// order of files and take effect up to the last commit, so a crash loses nothing that a commit acknowledged and keeps nothing half-written.
/// When most entries are outdated the live ones are written again and the rest is cut off.
/// </summary>
internal sealed class ReferenceJournal : IDisposable
{
    // An entry fits a page. 64 KiB pages, of which 16 stay in memory: references are rare and read at the start only.
    private const int PageBits = 16;
    private const int MemoryBits = 20;
    private const int SegmentBits = 24;

    // Below this size it is not worth the rewriting.
    private const long CompactionBytes = 4 << 20;

    private readonly FasterLog _log;
    private readonly IDevice _device;
    private readonly JournalCommits _commits;

    private ReferenceJournal(FasterLog log, IDevice device, JournalCommits commits) => (_log, _device, _commits) = (log, device, commits);

    /// <summary>The files found at the start, with their extents, in the order of their numbers.</summary>
    public IReadOnlyList<ReferencedFile> Recovered { get; private set; } = [];

    /// <summary>What was damaged at the start and what was done about it, as a sentence; null when nothing was.</summary>
    public string? Damage { get; private set; }

    /// <summary>
    /// Opens or makes the journal. A damaged one is set aside and what could be read of it goes into a new one: the files that are missing then have to be
    /// published again, but the node starts.
    /// </summary>
    public static ReferenceJournal Open(string folder)
    {
        string problem;
        IReadOnlyList<ReferencedFile> readable = [];
        try
        {
            var journal = OpenAndRead(folder, out var damage);
            if (damage is null)
            {
                return journal;
            }

            (problem, readable) = (damage, journal.Recovered);
            journal.Dispose();
        }
        catch (Exception failure) when (failure is FasterException or InvalidDataException)
        {
            problem = failure.Message;
        }

        var aside = $"{folder}.damaged-{Guid.NewGuid():N}";
        Directory.Move(folder, aside);
        var repaired = OpenAndRead(folder, out _);
        foreach (var file in readable)
        {
            repaired.Append(file, file.Extents);
        }

        repaired._log.Commit(spinWait: true);
        repaired._commits.ThrowIfFailed();
        repaired.Recovered = readable;
        repaired.Damage = $"the reference journal was damaged ({problem}) and is set aside as {aside}; {readable.Count} referenced files could be read from it, publish others again";
        return repaired;
    }

    /// <summary>Bytes of all entries that have not been cut off.</summary>
    public long Length => _log.TailAddress - _log.BeginAddress;

    /// <summary>Adds extents of a file; not durable before <see cref="CommitAsync"/>.</summary>
    public void Append(ReferencedFile file, IReadOnlyCollection<FileExtent> extents)
    {
        _log.Enqueue(JournalEntry.File(file));
        foreach (var part in extents.Chunk(JournalEntry.MaxExtents))
        {
            _log.Enqueue(JournalEntry.Extents(file.Id, part));
        }
    }

    /// <summary>Drops a file and its extents.</summary>
    public void Drop(int fileId) => _log.Enqueue(JournalEntry.Drop(fileId));

    /// <summary>Drops some extents of a file: those of one shard, so that they fit an entry.</summary>
    public void Remove(int fileId, IReadOnlyList<FileExtent> extents) => _log.Enqueue(JournalEntry.Removed(fileId, extents));

    /// <summary>Drops a shard from all files so far.</summary>
    public void Forget(Digest digest) => _log.Enqueue(JournalEntry.Forget(digest));

    /// <summary>Makes everything appended durable.</summary>
    /// <exception cref="StoreException">The disk failed.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _log.CommitAsync(cancellationToken).ConfigureAwait(false);
            _commits.ThrowIfFailed();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or CommitFailureException or FasterException)
        {
            throw StoreFailure.Of(failure, "writing the reference journal");
        }
    }

    /// <summary>Writes the live files anew and cuts off the rest, if that is worth it. Nothing may be appended meanwhile. Both copies are there until the cut is durable, and the second only
    /// repeats the first: with whatever part of it a commit makes durable, an adoption's for instance, a crash in between is harmless.</summary>
    public async ValueTask CompactAsync(IReadOnlyList<ReferencedFile> live, CancellationToken cancellationToken)
    {
        var liveBytes = live.Sum(file => 200L + (file.Extents.Count * JournalEntry.ExtentBytes));
        if (Length < CompactionBytes + (2 * liveBytes))
        {
            return;
        }

        var cut = _log.TailAddress;
        foreach (var file in live)
        {
            Append(file, file.Extents);
        }

        await CommitAsync(cancellationToken).ConfigureAwait(false);
        _log.TruncateUntil(cut);
        await CommitAsync(cancellationToken).ConfigureAwait(false);
    }

    public void Dispose()
    {
        _log.Dispose();
        _device.Dispose();
    }

    private static ReferenceJournal OpenAndRead(string folder, out string? damage)
    {
        Directory.CreateDirectory(folder);
        DurableFile.RemoveUnfinished(folder);
        var commits = new JournalCommits(folder);
        var device = Devices.CreateLogDevice(Path.Combine(folder, "journal.log"));
        FasterLog? log = null;
        try
        {
            log = new FasterLog(new FasterLogSettings
            {
                LogDevice = device,
                LogCommitManager = commits,
                PageSizeBits = PageBits,
                MemorySizeBits = MemoryBits,
                SegmentSizeBits = SegmentBits,
                LogChecksum = LogChecksumType.PerEntry,
            });
            commits.ThrowUnlessRecovered(log);
        }
        catch
        {
            log?.Dispose();
            device.Dispose();
            throw;
        }

        var journal = new ReferenceJournal(log, device, commits);
        journal.Recovered = journal.Read(out damage);
        return journal;
    }

    /// <summary>The files that the committed entries tell of, up to the first entry that is damaged.</summary>
    private IReadOnlyList<ReferencedFile> Read(out string? damage)
    {
        damage = null;
        var replay = new JournalReplay();
        using var scan = _log.Scan(_log.BeginAddress, _log.TailAddress, recover: false);
        try
        {
            while (scan.GetNext(out var entry, out var length, out _, out _))
            {
                replay.Apply(entry.AsSpan(0, length));
            }
        }
        catch (Exception failure) when (failure is FasterException or InvalidDataException)
        {
            damage = $"at byte {scan.CurrentAddress}: {failure.Message}";
        }

        return replay.Files;
    }
}
