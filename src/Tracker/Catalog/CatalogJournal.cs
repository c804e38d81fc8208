using FASTER.core;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Tracker.Catalog;

/// <summary>
/// The changes of the catalog in order, on disk: a FasterLog. An entry is acknowledged when it and the log's commit record are on disk; what a killed process
/// had not committed is not there after the next start. Each entry starts with the digest of its bytes. One writer at a time.
/// </summary>
internal sealed class CatalogJournal : IDisposable
{
    private readonly string _folder;
    private readonly IDevice _device;
    private readonly FasterLog _log;

    /// <summary>Opens the journal in a folder and finds its last commit.</summary>
    /// <exception cref="FasterException">What is there is no journal.</exception>
    public CatalogJournal(string folder)
    {
        _folder = folder;
        Directory.CreateDirectory(CommitFolder);
        PosixFile.SyncFolder(folder);
        PosixFile.SyncFolder(Path.GetDirectoryName(folder)!);
        _device = Devices.CreateLogDevice(Path.Combine(folder, "catalog.log"));
        _log = new FasterLog(new FasterLogSettings
        {
            LogDevice = _device,
            LogCommitDir = folder,
            // Entries are a few hundred bytes and rare: small pages keep the idle tracker small, small segments let a snapshot give disk space back.
            PageSizeBits = 16,
            MemorySizeBits = 18,
            SegmentSizeBits = 22,
        });
    }

    /// <summary>Where FASTER keeps its commit records: a folder of this name beside the log.</summary>
    private string CommitFolder => Path.Combine(_folder, "log-commits");

    /// <summary>Where the next entry goes.</summary>
    public long Tail => _log.TailAddress;

    /// <summary>Calls <paramref name="take"/> with every committed entry, oldest first. The bytes may be kept.</summary>
    /// <exception cref="InvalidDataException">Committed entries are missing.</exception>
    public void Replay(Action<ReadOnlyMemory<byte>> take)
    {
        var end = _log.CommittedUntilAddress;
        if (_log.BeginAddress == end)
        {
            return;
        }

        using var entries = _log.Scan(_log.BeginAddress, end);
        while (entries.GetNext(out var entry, out var length, out _))
        {
            if (length < Digest.Size || Blake3.Hash(entry.AsSpan(Digest.Size, length - Digest.Size)) != new Digest(entry.AsSpan(0, Digest.Size)))
            {
                throw new InvalidDataException($"the journal in {_folder} is damaged: an entry does not have the digest written with it");
            }

            take(entry.AsMemory(Digest.Size, length - Digest.Size));
        }

        // The scan skips the rest of a page when it cannot follow its entries. In an earlier page that shows as a gap in the numbers, in the last one here.
        if (entries.NextAddress != end)
        {
            throw new InvalidDataException($"the journal in {_folder} is damaged: not all of its entries up to the last commit can be read");
        }
    }

    /// <summary>Adds an entry; done when it is on disk. There is no way back half-way, so this cannot be cancelled.</summary>
    public async Task AppendAsync(ReadOnlyMemory<byte> entry)
    {
        _log.Enqueue((byte[])[.. Blake3.Hash(entry.Span).ToByteArray(), .. entry.Span]);
        await _log.CommitAsync().ConfigureAwait(false);

        // FASTER opens its files with O_SYNC, so their bytes are on disk; that the files exist is for us to make sure.
        PosixFile.SyncFolder(_folder);
        PosixFile.SyncFolder(CommitFolder);
    }

    /// <summary>Gives up entries before an address: a snapshot has them. Takes effect with the next commit, in whole segments.</summary>
    public void Forget(long before) => _log.TruncateUntil(before);

    public void Dispose()
    {
        _log.Dispose();
        _device.Dispose();
    }
}
