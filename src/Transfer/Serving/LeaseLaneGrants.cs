using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Gives and ends the leases of one lane. A lease on memory takes an upload slot and the upload rate's tokens, because the reads it allows cannot be slowed down
/// later; a lease on a file or a GPU takes neither, it moves nothing over the network. Thread-safe.
/// </summary>
internal sealed class LeaseLaneGrants(Guid peer, FileHolder holder, ServingContext context)
{
    private readonly LeaseLaneTable _table = new();
    private readonly Lock _gate = new();
    private SharedExporter? _exporter;

    /// <summary>Leases out.</summary>
    public int Count => _table.Count;

    private static int LeaseMs => (int)WireLimits.LeaseTime.TotalMilliseconds;

    /// <summary>The frame that answers a Locate.</summary>
    /// <exception cref="OperationCanceledException">The caller gave the request up, or the lane ended; no lease is out then.</exception>
    public ValueTask<byte[]> LocateAsync(uint request, LocateMessage wanted, CancellationToken cancellationToken)
    {
        if (_table.Count >= WireLimits.MaxLeases)
        {
            return ValueTask.FromResult(Refused(request, $"{WireLimits.MaxLeases} leases are out on one lane"));
        }

        return wanted.Kind switch
        {
            LeaseKind.File => LocateFileAsync(request, wanted.Shard, cancellationToken),
            LeaseKind.Memory => LocateMemoryAsync(request, wanted.Shard, cancellationToken),
            _ => LocateGpuAsync(request, wanted.Shard, cancellationToken),
        };
    }

    /// <summary>All leases that have not run out hold for another lease time, except that memory which this node wants back is kept for nobody any longer. Returns the frame that answers.</summary>
    public byte[] Renew(uint request)
    {
        var now = context.Time.GetTimestamp();
        var recalls = context.Store.IsMemoryWanted;
        _table.Renew(now, After(now, WireLimits.LeaseTime), recalls);
        return FrameCodec.Encode(request, new RenewedMessage(LeaseMs, recalls));
    }

    /// <summary>Takes out the leases that the peer gives back; the caller ends them.</summary>
    /// <exception cref="TransferException">One was never given.</exception>
    public List<GrantedLease> TakeReleased(ReleaseMessage released) => _table.Take(released.Leases);

    /// <summary>Ends what has run out.</summary>
    public ValueTask EndExpiredAsync() => EndAsync(_table.TakeExpired(context.Time.GetTimestamp()), "expired");

    /// <summary>Ends leases that were taken out of the table: from here on the bytes may go.</summary>
    public async ValueTask EndAsync(List<GrantedLease> leases, string reason)
    {
        foreach (var lease in leases)
        {
            if (lease.Exporter is { } exporter)
            {
                await exporter.WithdrawAsync(lease.Id).ConfigureAwait(false);
                await exporter.ReleaseAsync().ConfigureAwait(false);
                context.Swarms.SendEnded(lease.Lease.Shard.Digest);
                context.Slots.Release(peer);
            }
            else
            {
                ReturnFile(lease.Lease, lease.IsKept);
            }

            lease.Lease.Dispose();
            context.Metrics.LeaseEnded(lease.Kind, reason);
        }
    }

    /// <summary>From now on memory is leased for these queue pairs. Leases for those before them end, and they themselves with the last one.</summary>
    /// <param name="queues">Taken over; null for none.</param>
    /// <param name="reason">Why the leases end.</param>
    public async ValueTask ReplaceQueuesAsync(ILeaseExporter? queues, string reason)
    {
        SharedExporter? before;
        lock (_gate)
        {
            before = _exporter;
            _exporter = queues is null ? null : new SharedExporter(queues);
        }

        if (before is not null)
        {
            await EndAsync(_table.TakeWhere(lease => lease.Exporter == before), reason).ConfigureAwait(false);
            await before.ReleaseAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Ends everything.</summary>
    public async ValueTask CloseAsync()
    {
        await EndAsync(_table.TakeWhere(_ => true), "stopped").ConfigureAwait(false);
        await ReplaceQueuesAsync(null, "stopped").ConfigureAwait(false);
    }

    private async ValueTask<byte[]> LocateFileAsync(uint request, ShardInfo shard, CancellationToken cancellationToken)
    {
        ShardLease? leased;
        try
        {
            leased = await LeaseAsync(shard, LeaseKind.File, cancellationToken).ConfigureAwait(false);
            if (leased is { IsBorrowed: true } borrowed)
            {
                // Promised to this node alone, and by another: what is promised on is a copy in memory of its own.
                borrowed.Dispose();
                leased = await LeaseAsync(shard, LeaseKind.Memory, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (StoreException full)
        {
            return Refused(request, full.Message);
        }

        if (leased is not { } lease)
        {
            return FrameCodec.Encode(request, FrameType.NotFound);
        }

        // Of the arena, the caller may keep what is left of the allowance. The rest it may read and give back, like a file that is open only for that.
        var isKept = lease.Tier == Tiers.Memory && !context.Store.IsMemoryWanted && context.Leased.TryTake(lease.Shard.Size);
        if (!isKept && RefusedFile(request) is { } refused)
        {
            lease.Dispose();
            return refused;
        }

        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            var location = new FileLocation(lease.Tier, lease.Path, FileIdentity.Of(lease.File), lease.Offset, lease.IsUnfinished);
            var isBrief = lease.Tier == Tiers.Memory && !isKept;
            var limit = isBrief ? After(context.Time.GetTimestamp(), WireLimits.MaxBriefLeaseTime) : long.MaxValue;
            var id = Add(new GrantedLease(_table.NextId(), lease, null) { IsKept = isKept, Limit = limit });

            // Whoever may read it for as long as it likes holds it from now on.
            context.Swarms.SendBegins(shard.Digest);
            context.Swarms.SendEnded(shard.Digest);
            return FrameCodec.Encode(request, new LocatedFileMessage(id, LeaseMs, location, isBrief));
        }
        catch (Exception failure)
        {
            ReturnFile(lease, isKept);
            lease.Dispose();
            if (failure is IOException)
            {
                return Refused(request, $"{lease.Path} cannot be looked at: {failure.Message}");
            }

            throw;
        }
    }

    /// <summary>Only what is on a GPU already: to bring it there would take a GPU's memory for what another path carries as soon.</summary>
    private async ValueTask<byte[]> LocateGpuAsync(uint request, ShardInfo shard, CancellationToken cancellationToken)
    {
        if (await LeaseAsync(shard, LeaseKind.Gpu, cancellationToken).ConfigureAwait(false) is not { } lease)
        {
            var held = context.Store.Locate(shard.Digest);
            return held != Tiers.None && !held.HasFlag(Tiers.Gpu)
                ? Refused(request, "the shard is on no GPU of this node")
                : FrameCodec.Encode(request, FrameType.NotFound);
        }

        if (cancellationToken.IsCancellationRequested || !context.Files.TryTake(holder, 1))
        {
            lease.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            return Busy(request, PathNames.Nvlink);
        }

        context.Swarms.SendBegins(shard.Digest);
        context.Swarms.SendEnded(shard.Digest);
        context.CountServed(PathNames.Nvlink, shard.Size);
        var place = new GpuLocation(lease.Gpu!.Value, lease.Offset);
        var id = Add(new GrantedLease(_table.NextId(), lease, null) { Kind = LeaseKind.Gpu, Limit = After(context.Time.GetTimestamp(), WireLimits.MaxBriefLeaseTime) });
        return FrameCodec.Encode(request, new LocatedGpuMessage(id, LeaseMs, place));
    }

    private async ValueTask<byte[]> LocateMemoryAsync(uint request, ShardInfo shard, CancellationToken cancellationToken)
    {
        if (ShareExporter() is not { } exporter)
        {
            return Refused(request, "no queue pairs are connected on this lane");
        }

        if (!await TakeSlotAsync(cancellationToken).ConfigureAwait(false))
        {
            await exporter.ReleaseAsync().ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            return Busy(request, PathNames.Rdma);
        }

        byte[] answer;
        ShardLease? leased = null;
        try
        {
            leased = await LeaseAsync(shard, LeaseKind.Memory, cancellationToken).ConfigureAwait(false);
            if (leased is { } lease && await context.GrantRate.TryTakeAsync(shard.Size, cancellationToken).ConfigureAwait(false))
            {
                return await ExportAsync(request, lease, exporter, cancellationToken).ConfigureAwait(false);
            }

            answer = leased is null ? FrameCodec.Encode(request, FrameType.NotFound) : Busy(request, PathNames.Rdma);
            leased?.Dispose();
        }
        catch (Exception failure)
        {
            leased?.Dispose();
            await GiveUpAsync(exporter).ConfigureAwait(false);
            if (failure is StoreException or TransferException or IOException)
            {
                return Refused(request, failure.Message);
            }

            throw;
        }

        await GiveUpAsync(exporter).ConfigureAwait(false);
        return answer;
    }

    /// <summary>Waits for a slot as an upload lane does: one that is given back is used again at once, and not only when the peer asks again.</summary>
    private async ValueTask<bool> TakeSlotAsync(CancellationToken cancellationToken)
    {
        using var turn = new SlotTurn(context.Slots, peer, context.Time);
        using var given = cancellationToken.UnsafeRegister(static turn => ((SlotTurn)turn!).GiveUp(), turn);
        return await turn.TakeAsync().ConfigureAwait(false);
    }

    private async ValueTask<byte[]> ExportAsync(uint request, ShardLease lease, SharedExporter exporter, CancellationToken cancellationToken)
    {
        var id = _table.NextId();
        var location = await exporter.ExportAsync(id, lease, cancellationToken).ConfigureAwait(false);

        // From here on only through the table, whoever ends it: the export must be withdrawn before the bytes may go.
        context.Swarms.SendBegins(lease.Shard.Digest);
        Add(new GrantedLease(id, lease, exporter) { Limit = After(context.Time.GetTimestamp(), WireLimits.MaxBriefLeaseTime) });
        context.CountServed(PathNames.Rdma, lease.Shard.Size);
        if (exporter != Volatile.Read(ref _exporter))
        {
            await EndAsync(_table.Take([id]), "replaced").ConfigureAwait(false);
            return Refused(request, "the queue pairs were connected anew meanwhile");
        }

        return FrameCodec.Encode(request, new LocatedMemoryMessage(id, LeaseMs, location));
    }

    private ulong Add(GrantedLease lease)
    {
        lease.Expires = After(context.Time.GetTimestamp(), WireLimits.LeaseTime);
        _table.Add(lease);
        context.Metrics.LeaseGranted(lease.Kind);
        return lease.Id;
    }

    private async ValueTask GiveUpAsync(SharedExporter exporter)
    {
        context.Slots.Release(peer);
        await exporter.ReleaseAsync().ConfigureAwait(false);
    }

    /// <summary>A lease on exactly this shard; null when it is not held, cannot be read, or has another size than the peer believes.</summary>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/>: memory has no room for it.</exception>
    private async ValueTask<ShardLease?> LeaseAsync(ShardInfo shard, LeaseKind kind, CancellationToken cancellationToken)
    {
        try
        {
            var leased = kind switch
            {
                LeaseKind.File => await context.Store.LeaseAsync(shard.Digest, cancellationToken).ConfigureAwait(false),
                LeaseKind.Memory => await context.Store.LeaseInMemoryAsync(shard.Digest, cancellationToken).ConfigureAwait(false),
                _ => await context.Store.LeaseInGpuAsync(shard.Digest, cancellationToken).ConfigureAwait(false),
            };
            if (leased is { } lease && lease.Shard.Size != shard.Size)
            {
                lease.Dispose();
                return null;
            }

            return leased;
        }
        catch (StoreException e) when (e.Error != StoreError.Full)
        {
            context.Log.CannotServe(shard.Digest.ToShortString(), e);
            return null;
        }
    }

    private SharedExporter? ShareExporter()
    {
        lock (_gate)
        {
            return _exporter?.TryShare() == true ? _exporter : null;
        }
    }

    /// <summary>Takes one of the files that may be open; or else what to answer: a peer that has its part is to give some back first, while what others have out may last.</summary>
    private byte[]? RefusedFile(uint request)
    {
        if (context.Files.TryTake(holder, 1))
        {
            return null;
        }

        return context.Files.Taken < context.Files.Total ? Busy(request, PathNames.Local) : Refused(request, $"the peers of this host have {context.Files.Total} leases on files of this node, and it gives no more");
    }

    private void ReturnFile(ShardLease lease, bool isKept)
    {
        if (isKept)
        {
            context.Leased.Return(lease.Shard.Size);
        }
        else
        {
            context.Files.Return(holder, 1);
        }
    }

    private static byte[] Refused(uint request, string reason) => FrameCodec.Encode(request, new LocateRefusedMessage(reason));

    private byte[] Busy(uint request, string path)
    {
        context.Metrics.ServedBusy(path);
        return FrameCodec.Encode(request, new BusyMessage((int)context.Slots.Patience.TotalMilliseconds));
    }

    private long After(long timestamp, TimeSpan time) => timestamp + (long)(time.TotalSeconds * context.Time.TimestampFrequency);
}
