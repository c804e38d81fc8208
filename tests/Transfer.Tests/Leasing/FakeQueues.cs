using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using P2PWeights.Store;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Leasing;

/// <summary>Connects queue pairs that exist on paper only, and keeps a book of what is exported over them.</summary>
internal sealed class FakeQueues : IQueueListener
{
    private readonly ConcurrentQueue<FakeExporter> _exporters = new();

    /// <summary>Exporters made, oldest first.</summary>
    public IReadOnlyList<FakeExporter> Exporters => [.. _exporters];

    /// <summary>Where the last caller said, by its connection, that it is.</summary>
    public IPAddress? Caller { get; private set; }

    /// <summary>When set, why connecting is refused.</summary>
    public string? Refusal { get; set; }

    /// <summary>When set, what connecting and exporting fail with, as neither ever should.</summary>
    public Exception? Fault { get; set; }

    /// <summary>When set, what every export waits for.</summary>
    public Task Hold { get; set; } = Task.CompletedTask;

    /// <summary>Offers one device with so many queue pairs.</summary>
    public static ConnectQueuesMessage Offer(int queues = 2, int device = 3) => new([Device(device, queues)]);

    public static QueueDevice Device(int index, int queues) => new(
        index, QueueLink.Ethernet, new byte[16], 0, 4096, 16, 16, [.. Enumerable.Range(0, queues).Select(i => new QueueEnd((uint)(100 + i), (uint)(7 * i)))]);

    public ValueTask<(QueuesConnectedMessage Answer, ILeaseExporter Exporter)> ConnectAsync(ConnectQueuesMessage theirs, IPAddress caller, CancellationToken cancellationToken)
    {
        Caller = caller;
        ThrowFault();
        if (Refusal is { } reason)
        {
            throw new TransferException(TransferError.PathRefused, reason);
        }

        var exporter = new FakeExporter(this, _exporters.All(earlier => earlier.IsDisposed));
        _exporters.Enqueue(exporter);
        return ValueTask.FromResult((new QueuesConnectedMessage(theirs.Devices), (ILeaseExporter)exporter));
    }

    public void ThrowFault()
    {
        if (Fault is { } fault)
        {
            throw fault;
        }
    }
}

/// <param name="wasFirst">Whether every earlier exporter had been disposed when this one was made.</param>
internal sealed class FakeExporter(FakeQueues queues, bool wasFirst) : ILeaseExporter
{
    private readonly ConcurrentDictionary<ulong, ShardLease> _exported = new();
    private ImmutableList<string> _wrongs = [];
    private volatile bool _disposed;

    public bool WasFirst => wasFirst;

    public bool IsDisposed => _disposed;

    /// <summary>Leases exported now.</summary>
    public int Exported => _exported.Count;

    /// <summary>What the lane did that it may not do.</summary>
    public ImmutableList<string> Wrongs => _wrongs;

    /// <summary>When set, why exporting fails.</summary>
    public string? Failure { get; set; }

    public async ValueTask<MemoryLocation> ExportAsync(ulong leaseId, ShardLease lease, CancellationToken cancellationToken)
    {
        if (Failure is { } reason)
        {
            throw new TransferException(TransferError.PathRefused, reason);
        }

        queues.ThrowFault();
        await queues.Hold.WaitAsync(cancellationToken);
        Check(!_disposed, "export after dispose");
        Check(!lease.Memory.IsEmpty, "export of a lease that is not in memory");
        Check(_exported.TryAdd(leaseId, lease), "a number twice");
        return new MemoryLocation([new RemoteKey(3, (ulong)lease.Offset, (uint)leaseId)]);
    }

    public ValueTask WithdrawAsync(ulong leaseId)
    {
        Check(!_disposed, "withdrawal after dispose");
        if (!_exported.TryRemove(leaseId, out var lease))
        {
            Check(false, "withdrawal of what is not exported");
            return ValueTask.CompletedTask;
        }

        // Throws once the lease has been given back: until then nobody may have.
        var reading = lease.ReadAsync(new byte[lease.Shard.Size], CancellationToken.None).AsTask();
        Check(reading.IsCompletedSuccessfully, "the lease was given back before its withdrawal");
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        Check(!_disposed, "disposed twice");
        Check(_exported.IsEmpty, "disposed before its leases were withdrawn");
        _disposed = true;
        return ValueTask.CompletedTask;
    }

    private void Check(bool condition, string wrong)
    {
        if (!condition)
        {
            ImmutableInterlocked.Update(ref _wrongs, wrongs => wrongs.Add(wrong));
        }
    }
}
