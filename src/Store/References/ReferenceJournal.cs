using FASTER.core;
using P2PWeights.Store.Content;

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

    private ReferenceJournal(FasterLog log, IDevice device) => (_log, _device) = (log, device);

    /// <summary>The files found at the start, with their extents, in the order of their numbers.</summary>
    public IReadOnlyList<ReferencedFile> Recovered { get; private set; } = [];

    /// <summary>What could not be read at the start, as a sentence; null when all could.</summary>
    public string? Damage { get; private set; }

    /// <summary>Opens or makes the journal. One that cannot be opened at all is set aside and a new one begun: its files have to be published again, but the node starts.</summary>
    public static ReferenceJournal Open(string folder)
    {
        Directory.CreateDirectory(folder);
        try
        {
            return OpenAndRead(folder);
        }
        catch (Exception failure) when (failure is FasterException or IOException or ArgumentException or InvalidOperationException or OverflowException)
        {
            var aside = $"{folder}.damaged-{Guid.NewGuid():N}";
            Directory.Move(folder, aside);
            Directory.CreateDirectory(folder);
            var journal = OpenAndRead(folder);
            journal.Damage = $"the reference journal could not be opened ({failure.Message}) and was set aside as {aside}; publish again what was referenced";
            return journal;
        }
    }

    /// <summary>Adds extents of a file; not durable before <see cref="CommitAsync"/>.</summary>
    public void Append(ReferencedFile file, IReadOnlyList<FileExtent> extents)
    {
        _log.Enqueue(JournalEntry.File(file));
        foreach (var part in extents.Chunk(JournalEntry.MaxExtents))
        {
            _log.Enqueue(JournalEntry.Extents(file.Id, part));
        }
    }

    /// <summary>Drops a file and its extents.</summary>
    public void Drop(int fileId) => _log.Enqueue(JournalEntry.Drop(fileId));

    /// <summary>Drops a shard from all files so far.</summary>
    public void Forget(Digest digest) => _log.Enqueue(JournalEntry.Forget(digest));

    /// <summary>Makes everything appended durable.</summary>
    /// <exception cref="StoreException">The disk failed.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _log.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is IOException or CommitFailureException or FasterException)
        {
            throw new StoreException(StoreError.Io, $"the reference journal could not be written: {failure.Message}", inner: failure);
        }
    }

    /// <summary>Writes the live files anew and cuts off the rest, if that is worth it. Both copies are there until the cut is durable, so a crash in between is harmless.</summary>
    public async ValueTask CompactAsync(IReadOnlyList<ReferencedFile> live, CancellationToken cancellationToken)
    {
        var liveBytes = live.Sum(file => 200L + (file.Extents.Count * JournalEntry.ExtentBytes));
        if (Damage is null && _log.TailAddress - _log.BeginAddress < CompactionBytes + (2 * liveBytes))
        {
            return;
        }

        var cut = _log.TailAddress;
        foreach (var file in live)
        {
            _log.Enqueue(JournalEntry.Drop(file.Id));
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

    private static ReferenceJournal OpenAndRead(string folder)
    {
        var device = Devices.CreateLogDevice(Path.Combine(folder, "journal.log"));
        try
        {
            var log = new FasterLog(new FasterLogSettings
            {
                LogDevice = device,
                LogCommitDir = folder,
                PageSizeBits = PageBits,
                MemorySizeBits = MemoryBits,
                SegmentSizeBits = SegmentBits,
                LogChecksum = LogChecksumType.PerEntry,
                RemoveOutdatedCommits = true,
            });
            var journal = new ReferenceJournal(log, device);
            journal.Read();
            return journal;
        }
        catch
        {
            device.Dispose();
            throw;
        }
    }

    private void Read()
    {
        var files = new JournalReplay();
        using var scan = _log.Scan(_log.BeginAddress, _log.TailAddress, recover: false);
        try
        {
            while (scan.GetNext(out var entry, out var length, out _, out _))
            {
                files.Apply(entry.AsSpan(0, length));
            }
        }
        catch (Exception failure) when (failure is FasterException or InvalidDataException)
        {
            Damage = $"the reference journal is damaged at byte {scan.CurrentAddress} ({failure.Message}); references after it are lost, publish them again";
        }

        Recovered = files.Files;
    }
}
