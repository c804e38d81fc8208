using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Shards;

public sealed class ConcurrencyTests
{
    private const int Shards = 40;
    private const int Rounds = 150;

    // Memory holds half of the shards and disk a third, so that every write evicts, demotes or goes to disk.
    [Fact]
    public async Task Readers_writers_and_evictions_of_the_same_shards_never_see_a_wrong_byte()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 << 20, disk: 10 << 20);
        var shards = Enumerable.Range(0, Shards).Select(i => fixture.NewShard(fixture.Seeded.Random.Next(1, 1 << 20))).ToArray();
        var held = new Dictionary<Digest, int>();
        store.Changed += change =>
        {
            lock (held)
            {
                held[change.Shard.Digest] = held.GetValueOrDefault(change.Shard.Digest) + (change.Gained ? 1 : -1);
            }
        };

        await Task.WhenAll(Enumerable.Range(0, 6).Select(worker => Task.Run(() => WorkAsync(store, shards, new Random(fixture.Seeded.Seed + worker)))));

        // The announcements add up to what is held, and what is held is right.
        Assert.Equal(
            store.List().Select(shard => shard.Digest).ToHashSet(),
            held.Where(entry => entry.Value == 1).Select(entry => entry.Key).ToHashSet());
        Assert.All(held.Values, count => Assert.InRange(count, 0, 1));
        Assert.Empty((await store.ScrubAsync(null, 0, null, StoreFixture.Deadline)).Wrong);
        Assert.Equal(0, store.Usage.Leases);

        // Everything can go, so no block was lost and no quota leaked.
        foreach (var shard in store.List())
        {
            await store.EvictAsync(shard.Digest, Tiers.Memory | Tiers.Disk, StoreFixture.Deadline);
        }

        Assert.All(store.Usage.Tiers, tier => Assert.Equal((0L, 0L), (tier.Shards, tier.Bytes)));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(fixture.DataFolder, "shards"), "*", SearchOption.AllDirectories));
    }

    private static async Task WorkAsync(ShardStore store, (ShardInfo Shard, byte[] Bytes)[] shards, Random random)
    {
        for (var round = 0; round < Rounds; round++)
        {
            var (shard, bytes) = shards[random.Next(shards.Length)];
            switch (random.Next(8))
            {
                case 0:
                    await store.EvictAsync(shard.Digest, (Tiers)random.Next(1, 8), StoreFixture.Deadline);
                    break;
                case 1:
                    using (store.Pin([shard.Digest]))
                    {
                        await Task.Yield();
                    }

                    break;
                case 2:
                    await store.ScrubAsync([shard.Digest], 0, null, StoreFixture.Deadline);
                    break;
                case < 5:
                    using (var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline))
                    {
                        if (lease is not null)
                        {
                            var read = new byte[shard.Size];
                            await lease.Value.ReadAsync(read, StoreFixture.Deadline);
                            Assert.True(read.AsSpan().SequenceEqual(bytes));
                        }
                    }

                    break;
                default:
                    try
                    {
                        await store.PutAsync(shard, bytes);
                    }
                    catch (StoreException full) when (full.Error == StoreError.Full)
                    {
                        // All that could go was being written or read just then: an answer, not a fault.
                    }

                    break;
            }
        }
    }
}
