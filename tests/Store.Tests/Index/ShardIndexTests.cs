using System.Collections.Concurrent;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Index;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Index;

public sealed class ShardIndexTests
{
    private readonly ChangeQueue _changes = new();

    // More records than the 4 MiB of log in memory hold, so that old ones are read from disk; then so few that the log is compacted.
    [Fact]
    public async Task Index_larger_than_its_memory_finds_every_record_and_survives_compaction()
    {
        const int MemoryBits = 22;
        const int Records = 100_000;
        const int Kept = 1000;
        using var folder = new TempFolder();
        using (var index = ShardIndex.Open(folder.Path, recover: false, _changes, MemoryBits))
        {
            for (var i = 0; i < Records; i++)
            {
                Set(index, i, Tiers.Disk);
            }

            Assert.Equal(Records, index.Count);
            for (var i = 0; i < Records; i += 97)
            {
                Assert.Equal((i + 1, Tiers.Disk), (index.Find(Name(i)).Size, index.Find(Name(i)).Tiers));
            }

            for (var i = Kept; i < Records; i++)
            {
                Set(index, i, Tiers.None);
            }

            await index.CheckpointAsync(StoreFixture.Deadline);
            AssertKept(index);
        }

        using var reopened = ShardIndex.Open(folder.Path, recover: true, _changes, MemoryBits);
        AssertKept(reopened);

        void AssertKept(ShardIndex index)
        {
            Assert.Equal(Kept, index.Count);
            Assert.Equal(Enumerable.Range(0, Kept).Select(Name).ToHashSet(), index.Snapshot().Select(entry => entry.Digest).ToHashSet());
            Assert.Equal(Tiers.None, index.Find(Name(Kept)).Tiers);
        }
    }

    [Fact]
    public async Task Checkpoints_taken_while_records_change_lose_none()
    {
        const int Workers = 4;
        using var folder = new TempFolder();
        var expected = new ConcurrentDictionary<Digest, Tiers>();
        var seeded = new Seeded();
        var path = folder["index"];
        using (var index = IndexFolder.Open(path, _changes, out _))
        {
            var workers = Enumerable.Range(0, Workers).Select(worker => Task.Run(() =>
            {
                var random = new Random(seeded.Seed + worker);
                for (var i = 0; i < 20_000; i++)
                {
                    // Each worker has its own numbers, so the last one set is known.
                    var number = (random.Next(3000) * Workers) + worker;
                    expected[Name(number)] = Set(index, number, (Tiers)(random.Next(4) * 2));
                }
            })).ToArray();
            while (!Task.WhenAll(workers).IsCompleted)
            {
                await IndexFolder.CheckpointAsync(path, index, StoreFixture.Deadline);
            }

            await Task.WhenAll(workers);
            await IndexFolder.CheckpointAsync(path, index, StoreFixture.Deadline);
        }

        using var reopened = IndexFolder.Open(path, _changes, out var problem);
        Assert.Null(problem);
        Assert.Equal(
            expected.Where(entry => entry.Value != Tiers.None).ToDictionary(),
            reopened.Snapshot().ToDictionary(entry => entry.Digest, entry => entry.Record.Tiers));
    }

    [Fact]
    public void Gains_and_losses_are_told_once_each_and_in_order()
    {
        using var folder = new TempFolder();
        var told = new List<bool>();
        _changes.Changed += change => told.Add(change.Gained);
        using var index = ShardIndex.Open(folder.Path, recover: false, _changes);

        Set(index, 1, Tiers.Disk);
        Set(index, 1, Tiers.Disk | Tiers.Memory);
        Set(index, 1, Tiers.Memory);
        Set(index, 1, Tiers.None);
        Set(index, 1, Tiers.None);
        Set(index, 1, Tiers.Reference);

        Assert.Equal([true, false, true], told);
    }

    [Fact]
    public void Handler_may_ask_the_store_while_others_change_it()
    {
        using var folder = new TempFolder();
        using var index = ShardIndex.Open(folder.Path, recover: false, _changes);
        var asked = 0;
        _changes.Changed += change =>
        {
            Assert.True(index.Find(Name(0)).Size <= 1);
            asked++;
        };

        Parallel.For(0, 5000, i => Set(index, i % 50, i % 3 == 0 ? Tiers.None : Tiers.Memory));

        Assert.True(asked >= 50);
    }

    private static Tiers Set(ShardIndex index, int number, Tiers tiers)
    {
        using var slot = index.Lock(Name(number));
        slot.Set(new ShardRecord { Size = number + 1, Tiers = tiers });
        return tiers;
    }

    private static Digest Name(int number) => Blake3.Hash(BitConverter.GetBytes(number));
}
