using FASTER.core;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Index;

/// <summary>
/// Every shard held and where: a FASTER hash table that is checkpointed, so that a start need not stat every file.
/// The checkpoint is never believed further than that: the tiers' own evidence (arena directory, file names, journal) decides what exists, see <see cref="IndexRecovery"/>.
/// Threads: a digest belongs to one of a fixed number of stripes, each with one FASTER session, used under the stripe's lock. Locks are held for
/// look-ups and updates only, never across IO on shards, and no thread takes a second stripe while it holds one.
/// </summary>
internal sealed class ShardIndex : IDisposable
{
    private const int StripeCount = 64;

    // 65,536 buckets of seven entries: one bucket per shard up to 450,000 shards, 4 MiB.
    private const long Buckets = 1 << 16;

    // The log in memory: 64 MiB hold about 700,000 records. Pages are allocated as they are reached; older ones spill to the device.
    private const int DefaultMemoryBits = 26;
    private const int PageBits = 20;

    private readonly FasterKV<Digest, ShardRecord> _table;
    private readonly IDevice _device;
    private readonly long _memoryBytes;
    private readonly Stripe[] _stripes = new Stripe[StripeCount];
    private readonly ChangeQueue _changes;
    private long _count;
    private volatile bool _disposed;

    private ShardIndex(FasterKV<Digest, ShardRecord> table, IDevice device, long memoryBytes, ChangeQueue changes)
    {
        (_table, _device, _memoryBytes, _changes) = (table, device, memoryBytes, changes);
        for (var i = 0; i < StripeCount; i++)
        {
            _stripes[i] = new Stripe(table.For(new IndexFunctions()).NewSession<IndexFunctions>());
        }
    }

    /// <summary>Shards held.</summary>
    public long Count => Interlocked.Read(ref _count);

    /// <summary>Opens the table in a folder.</summary>
    /// <param name="recover">Loads the last checkpoint, which the caller has found intact.</param>
    /// <param name="memoryBits">Logarithm of the bytes of log kept in memory; from 22 on.</param>
    public static ShardIndex Open(string folder, bool recover, ChangeQueue changes, int memoryBits = DefaultMemoryBits)
    {
        var device = Devices.CreateLogDevice(Path.Combine(folder, "table.log"), recoverDevice: recover);
        var table = new FasterKV<Digest, ShardRecord>(
            Buckets,
            new LogSettings { LogDevice = device, MemorySizeBits = memoryBits, PageSizeBits = PageBits, SegmentSizeBits = DefaultMemoryBits },
            new CheckpointSettings { CheckpointDir = folder, RemoveOutdated = true },
            comparer: new DigestComparer());
        try
        {
            if (recover)
            {
                table.Recover();
            }
        }
        catch
        {
            table.Dispose();
            device.Dispose();
            throw;
        }

        var index = new ShardIndex(table, device, 1L << memoryBits, changes);
        index._count = recover ? index.Snapshot().Count : 0;
        return index;
    }

    /// <summary>Locks the stripe of a digest and gives access to its record. Changes of what is held are announced when the slot is disposed.</summary>
    public ShardSlot Lock(Digest digest) => new(this, _stripes[digest.GetHashCode() & (StripeCount - 1)], digest);

    /// <summary>The record of a shard, or a record without tiers.</summary>
    public ShardRecord Find(Digest digest)
    {
        using var slot = Lock(digest);
        return slot.Record;
    }

    /// <summary>All records, each as it was at some moment during the call.</summary>
    public List<(Digest Digest, ShardRecord Record)> Snapshot()
    {
        var digests = new HashSet<Digest>();
        long begin;
        do
        {
            // A compaction in between may have moved records from before the scan's place to behind its end.
            begin = _table.Log.BeginAddress;
            using var scan = _table.Log.Scan(begin, _table.Log.TailAddress);
            while (scan.GetNext(out _, out var digest, out _))
            {
                digests.Add(digest);
            }
        }
        while (_table.Log.BeginAddress != begin);

        var records = new List<(Digest, ShardRecord)>(digests.Count);
        foreach (var digest in digests)
        {
            if (Find(digest) is { Tiers: not Tiers.None } record)
            {
                records.Add((digest, record));
            }
        }

        return records;
    }

    /// <summary>Writes a checkpoint and drops what outdated records take in the log.</summary>
    public async Task CheckpointAsync(CancellationToken cancellationToken)
    {
        const string Failed = "the index could not write its checkpoint; the next start reads the tiers instead";
        try
        {
            Compact();
            var (done, _) = await _table.TakeFullCheckpointAsync(CheckpointType.Snapshot, cancellationToken).ConfigureAwait(false);
            if (!done)
            {
                throw new StoreException(StoreError.Io, Failed);
            }

            _table.Log.Truncate();
        }
        catch (FasterException failure)
        {
            throw new StoreException(StoreError.Io, $"{Failed}: {failure.Message}", inner: failure);
        }
    }

    public void Dispose()
    {
        // Under each gate: who is late finds the index closed, not memory that FASTER has given back.
        _disposed = true;
        foreach (var stripe in _stripes)
        {
            lock (stripe.Gate)
            {
                stripe.Session.Dispose();
            }
        }

        _table.Dispose();
        _device.Dispose();
    }

    /// <summary>Moves live records to the tail once the log is mostly outdated ones, so that churn does not make it grow for ever.</summary>
    private void Compact()
    {
        const int RecordBytes = 8 + Digest.Size + 48;
        var log = _table.Log;
        if (log.TailAddress - log.BeginAddress > Math.Max(_memoryBytes, 4 * Count * RecordBytes))
        {
            using var session = _table.For(new IndexFunctions()).NewSession<IndexFunctions>();
            session.Compact(log.SafeReadOnlyAddress, CompactionType.Lookup);
        }
    }

    internal sealed class IndexFunctions : SimpleFunctions<Digest, ShardRecord>;

    internal sealed record Stripe(ClientSession<Digest, ShardRecord, ShardRecord, ShardRecord, Empty, IndexFunctions> Session)
    {
        public Lock Gate { get; } = new();
    }

    private sealed class DigestComparer : IFasterEqualityComparer<Digest>
    {
        public bool Equals(ref Digest k1, ref Digest k2) => k1 == k2;

        public long GetHashCode64(ref Digest k) => k.GetHashCode64();
    }

    /// <summary>Exclusive access to the record of one shard, for as long as it is not disposed. Short-lived: no IO and no second slot meanwhile.</summary>
    internal ref struct ShardSlot
    {
        private readonly ShardIndex _index;
        private readonly Stripe _stripe;
        private Digest _digest;
        private ShardRecord _record;
        private bool _changed;

        internal ShardSlot(ShardIndex index, Stripe stripe, Digest digest)
        {
            (_index, _stripe, _digest) = (index, stripe, digest);
            stripe.Gate.Enter();
            try
            {
                Read();
            }
            catch
            {
                // Nobody disposes what was not made; the stripe would stay locked for ever.
                stripe.Gate.Exit();
                throw;
            }
        }

        /// <summary>The record as it is; no tiers when the shard is not held.</summary>
        public readonly ShardRecord Record => _record;

        private void Read()
        {
            ObjectDisposedException.ThrowIf(_index._disposed, typeof(ShardStore));
            var status = _stripe.Session.Read(ref _digest, ref _record);
            if (status.IsPending)
            {
                _stripe.Session.CompletePendingWithOutputs(out var outputs, wait: true);
                using (outputs)
                {
                    _record = outputs.Next() && outputs.Current.Status.Found ? outputs.Current.Output : default;
                }
            }
            else if (!status.Found)
            {
                _record = default;
            }
        }

        /// <summary>Stores the record; one without tiers is removed. Gains and losses go to the change queue in the order of the updates.</summary>
        public void Set(ShardRecord record)
        {
            var (before, size) = (_record.Tiers, Math.Max(record.Size, _record.Size));
            _record = record;
            if (record.Tiers != Tiers.None)
            {
                _stripe.Session.Upsert(ref _digest, ref _record);
            }
            else if (before != Tiers.None)
            {
                _stripe.Session.Delete(ref _digest);
            }

            if ((before == Tiers.None) != (record.Tiers == Tiers.None))
            {
                var gained = before == Tiers.None;
                Interlocked.Add(ref _index._count, gained ? 1 : -1);
                _changed = true;
                _index._changes.Add(new ShardChange(new ShardInfo(_digest, size), gained));
            }
        }

        public readonly void Dispose()
        {
            _stripe.Gate.Exit();
            if (_changed)
            {
                _index._changes.Raise();
            }
        }
    }
}
