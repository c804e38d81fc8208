using P2PWeights.Store.Serialization;

namespace P2PWeights.Tracker.Catalog;

/// <summary>
/// The durable catalog of one tracker. Readers take <see cref="State"/>, an immutable whole. Writers go one after another: decide on the state, write the
/// change to the journal, and only when it is on disk replace the state. So nothing is ever visible, or answered, that a killed process would not find again.
/// </summary>
internal sealed class CatalogStore : IAsyncDisposable
{
    /// <summary>Changes between two snapshots; bounds the journal, and with it the time to start.</summary>
    internal const int SnapshotEvery = 4096;

    private readonly SemaphoreSlim _writer = new(1);
    private readonly string _folder;
    private readonly CatalogJournal _journal;
    private volatile CatalogState _state;
    private long _snapshotNumber;
    private Exception? _fault;

    private CatalogStore(string folder, CatalogJournal journal, CatalogState state, long snapshotNumber) =>
        (_folder, _journal, _state, _snapshotNumber) = (folder, journal, state, snapshotNumber);

    /// <summary>The catalog now.</summary>
    public CatalogState State => _state;

    /// <summary>
    /// Reads snapshot and journal of a folder, which the caller has locked. An empty catalog writes a snapshot too, so that a journal that is lost later is missed:
    /// a catalog never comes back smaller than it was acknowledged.
    /// </summary>
    /// <exception cref="InvalidDataException">What is stored is damaged or contradicts itself.</exception>
    public static async Task<CatalogStore> OpenAsync(string folder)
    {
        Directory.CreateDirectory(folder);
        var journalFolder = Path.Combine(folder, "journal");
        var snapshot = CatalogSnapshot.Read(folder);
        if (snapshot is not null && !CatalogJournal.Exists(journalFolder))
        {
            throw new InvalidDataException($"the journal in {journalFolder} is gone, and with it what changed after change {snapshot.LastNumber}");
        }

        var journal = await CatalogJournal.OpenAsync(journalFolder).ConfigureAwait(false);
        try
        {
            var state = Replay(journal, snapshot ?? CatalogState.Empty);
            if (snapshot is null)
            {
                CatalogSnapshot.Write(folder, state);
            }

            return new CatalogStore(folder, journal, state, (snapshot ?? state).LastNumber);
        }
        catch (MessagePackSerializationException e)
        {
            journal.Dispose();
            throw new InvalidDataException($"the journal in {journalFolder} holds an entry that cannot be read: {e.Message}", e);
        }
        catch
        {
            journal.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Changes the catalog. <paramref name="decide"/> sees the state that the change will follow and returns the change, or null for none, with the answer
    /// to give; it runs alone and must be quick.
    /// </summary>
    /// <exception cref="TrackerException">The change could not be written. Whether it is there will be known after a restart; until then the catalog is read-only.</exception>
    public async Task<T> ChangeAsync<T>(Func<CatalogState, (CatalogOperation? Change, T Answer)> decide, CancellationToken cancellationToken)
    {
        await _writer.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            var (change, answer) = decide(_state);
            if (change is null)
            {
                return answer;
            }

            if (_fault is not null)
            {
                throw ReadOnly(_fault);
            }

            var next = _state.Apply(change);
            await WriteAsync(change).ConfigureAwait(false);
            _state = next;
            SnapshotWhenDue(next);
            return answer;
        }
        finally
        {
            _writer.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _writer.WaitAsync().ConfigureAwait(false);
        _journal.Dispose();
        _writer.Dispose();
    }

    private static CatalogState Replay(CatalogJournal journal, CatalogState snapshot)
    {
        var state = snapshot;
        journal.Replay(entry =>
        {
            var operation = CatalogEncoding.DecodeOperation(entry);

            // The journal is cut in whole segments, so it may begin before the snapshot.
            if (operation.Number > snapshot.LastNumber)
            {
                state = state.Apply(operation);
            }
        });
        return state;
    }

    private async Task WriteAsync(CatalogOperation change)
    {
        try
        {
            await _journal.AppendAsync(CatalogEncoding.Encode(change)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or FASTER.core.FasterException or FASTER.core.CommitFailureException)
        {
            // The entry may lie in the log's memory or half on disk: nothing may follow it until a restart has looked.
            _fault = e;
            throw ReadOnly(e);
        }
    }

    private void SnapshotWhenDue(CatalogState state)
    {
        if (state.LastNumber - _snapshotNumber < SnapshotEvery)
        {
            return;
        }

        try
        {
            var tail = _journal.Tail;
            CatalogSnapshot.Write(_folder, state);
            _journal.Forget(tail);
            _snapshotNumber = state.LastNumber;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The journal still has everything; the next change tries again.
        }
    }

    private TrackerException ReadOnly(Exception cause) => new(
        TrackerError.Unavailable,
        $"the catalog in {_folder} is read-only since its journal could not be written ({cause.Message}); make room or repair the disk, then restart the tracker",
        cause);
}
