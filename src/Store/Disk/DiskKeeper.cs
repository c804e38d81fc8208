using Microsoft.Win32.SafeHandles;
using P2PWeights.Store.Content;
using P2PWeights.Store.Index;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Disk;

/// <summary>
/// Keeps the files of the disk tier and the index together. Whatever changes a shard's name on disk runs under a gate of that shard (one of 64), from before
/// the file changes until the index agrees; the index's own locks are never held across IO.
/// </summary>
internal sealed class DiskKeeper(DiskTier tier, ShardIndex index, TimeProvider time) : IDisposable
{
    private readonly SemaphoreSlim[] _gates = [.. Enumerable.Range(0, 64).Select(_ => new SemaphoreSlim(1))];

    /// <summary>Stores a hashed shard, durably, then indexes it.</summary>
    /// <param name="reservation">Room for the shard; kept when it is used.</param>
    /// <exception cref="StoreException"><see cref="StoreError.Full"/> or <see cref="StoreError.Io"/>: nothing became visible.</exception>
    public async ValueTask StoreAsync(ShardInfo shard, ReadOnlyMemory<byte> bytes, DiskReservation reservation, CancellationToken cancellationToken)
    {
        var gate = await EnterAsync(shard.Digest, cancellationToken).ConfigureAwait(false);
        try
        {
            if (index.Find(shard.Digest).IsProven(Tiers.Disk))
            {
                return;
            }

            await tier.WriteAsync(shard, bytes, cancellationToken).ConfigureAwait(false);
            Enter(shard, proven: true, reservation);
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            throw StoreFailure.Of(failure, $"writing shard {shard.Digest.ToShortString()} to {tier.PathOf(shard.Digest)}", shard.Digest);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Takes a shard by a link to another store's file, then indexes it, unproven.</summary>
    /// <param name="path">Path of <paramref name="file"/>.</param>
    /// <returns>False when the file cannot be taken so.</returns>
    public async ValueTask<bool> LinkAsync(ShardInfo shard, SafeFileHandle file, string path, DiskReservation reservation, CancellationToken cancellationToken)
    {
        var gate = await EnterAsync(shard.Digest, cancellationToken).ConfigureAwait(false);
        try
        {
            if (index.Find(shard.Digest).Has(Tiers.Disk))
            {
                return true;
            }

            if (!tier.TryLink(shard, file, path))
            {
                return false;
            }

            Enter(shard, proven: false, reservation);
            return true;
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            throw StoreFailure.Of(failure, $"linking {path} to {tier.PathOf(shard.Digest)}", shard.Digest);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Removes a shard from the disk; false when it is not there any more, or is leased.</summary>
    public async ValueTask<bool> RemoveAsync(Digest digest, CancellationToken cancellationToken)
    {
        var gate = await EnterAsync(digest, cancellationToken).ConfigureAwait(false);
        try
        {
            if (!Forget(digest, evenIfLeased: false))
            {
                return false;
            }

            tier.Delete(digest);
            return true;
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            throw StoreFailure.Of(failure, $"removing {tier.PathOf(digest)}", digest);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>
    /// Drops a replica that turned out wrong or missing, and moves its file out of the way. Returns where the file is now, or was; null when the replica has gone
    /// already, or a good one has been stored in its place.
    /// </summary>
    /// <param name="seen">The file that turned out wrong, open; null when it was missing or had another length.</param>
    public async ValueTask<string?> QuarantineAsync(ShardInfo shard, SafeFileHandle? seen, CancellationToken cancellationToken)
    {
        var digest = shard.Digest;
        var gate = await EnterAsync(digest, cancellationToken).ConfigureAwait(false);
        try
        {
            using (var now = tier.TryOpen(shard))
            {
                if (now is not null && (seen is null || !FileIdentity.Of(now).IsSameInode(FileIdentity.Of(seen))))
                {
                    return null;
                }
            }

            return Forget(digest, evenIfLeased: true) ? tier.Quarantine(digest) ?? tier.PathOf(digest) : null;
        }
        catch (Exception failure) when (StoreFailure.IsOfFileSystem(failure))
        {
            throw StoreFailure.Of(failure, $"moving {tier.PathOf(digest)} to quarantine", digest);
        }
        finally
        {
            gate.Release();
        }
    }

    public void Dispose()
    {
        foreach (var gate in _gates)
        {
            gate.Dispose();
        }
    }

    private void Enter(ShardInfo shard, bool proven, DiskReservation reservation)
    {
        using var slot = index.Lock(shard.Digest);
        var record = slot.Record;
        if (!record.Has(Tiers.Disk))
        {
            reservation.Keep();
            tier.CountStored();
        }

        record.Size = shard.Size;
        record.Tiers |= Tiers.Disk;
        record.Proven |= proven ? Tiers.Disk : Tiers.None;
        record.LastUse = time.GetUtcNow().Ticks;
        slot.Set(record);
    }

    private bool Forget(Digest digest, bool evenIfLeased)
    {
        using var slot = index.Lock(digest);
        var record = slot.Record;
        if (!record.Has(Tiers.Disk) || (!evenIfLeased && tier.IsLeased(digest)))
        {
            return false;
        }

        record.Tiers &= ~Tiers.Disk;
        record.Proven &= ~Tiers.Disk;
        slot.Set(record);
        tier.CountRemoved(record.Size);
        return true;
    }

    private async ValueTask<SemaphoreSlim> EnterAsync(Digest digest, CancellationToken cancellationToken)
    {
        var gate = _gates[digest.GetHashCode() & (_gates.Length - 1)];
        await gate.WaitAsync(cancellationToken).ConfigureAwait(false);
        return gate;
    }
}
