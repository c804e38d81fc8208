using P2PWeights.Store.Content;
using P2PWeights.Store.Eviction;
using P2PWeights.Store.Writing;

namespace P2PWeights.Store.Leasing;

/// <summary>
/// Leases shards in the memory tier, and brings there, a bounded number at a time, those that only files or GPUs hold. What is brought is written as if it had been received:
/// hashed before it is visible.
/// </summary>
/// <param name="arriving">Keeps replicas in memory from eviction until they are leased.</param>
internal sealed class MemoryLoader(LeaseDesk leases, ShardPlacer placer, PinTable arriving)
{
    /// <summary>Whoever wants a shard that is being brought waits for it.</summary>
    private readonly DigestTurns _turns = new();

    /// <exception cref="StoreException">See <see cref="ShardStore.LeaseInMemoryAsync"/>.</exception>
    public async ValueTask<ShardLease?> LeaseAsync(Digest digest, CancellationToken cancellationToken)
    {
        if (await leases.LeaseAsync(digest, Tiers.Memory, cancellationToken).ConfigureAwait(false) is { } atOnce)
        {
            return atOnce;
        }

        using var turn = await _turns.EnterAsync(digest, cancellationToken).ConfigureAwait(false);

        // From its commit to the lease on it, nobody may evict it.
        using var pin = arriving.Pin([digest]);

        // Ends: each round returns, or drops a replica that turned out to be wrong.
        while (true)
        {
            if (await leases.LeaseAsync(digest, Tiers.Memory, cancellationToken).ConfigureAwait(false) is { } inMemory)
            {
                return inMemory;
            }

            if (await leases.LeaseWhereItLiesAsync(digest, cancellationToken).ConfigureAwait(false) is not { } source)
            {
                return null;
            }

            using (source)
            {
                await BringAsync(source, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async ValueTask BringAsync(ShardLease source, CancellationToken cancellationToken)
    {
        var shard = source.Shard;
        using var write = await placer.TryPlaceInMemoryAsync(shard, cancellationToken).ConfigureAwait(false)
            ?? throw new StoreException(
                StoreError.Full, $"shard {shard.Digest.ToShortString()} of {shard.Size} bytes cannot be brought to memory: there is no room that may be given up; give --memory more", shard.Digest);
        try
        {
            await source.ReadAsync(write.Buffer, cancellationToken).ConfigureAwait(false);
            await write.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (StoreException failure) when (failure.Error is StoreError.WrongDigest or StoreError.Io)
        {
            // The file was right when it was leased and is not now. The check drops it, and fails like this if it cannot find the fault.
            if (await leases.CheckAsync(shard.Digest, source.Tier, cancellationToken).ConfigureAwait(false) is { WrongAt: null })
            {
                throw;
            }
        }
    }
}
