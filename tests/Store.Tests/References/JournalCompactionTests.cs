using P2PWeights.Store.Content;
using P2PWeights.Store.Index;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Tests.References;

public sealed class JournalCompactionTests
{
    [Fact]
    public async Task Files_referenced_during_compactions_are_all_there_afterwards()
    {
        const int Files = 30;
        await using var fixture = new StoreFixture();
        var journalFolder = fixture["journal"];
        using (var index = ShardIndex.Open(fixture["index"], recover: false, new ChangeQueue()))
        using (var journal = ReferenceJournal.Open(journalFolder))
        using (var tier = new ReferenceTier(index, journal, TimeProvider.System))
        {
            using var done = new CancellationTokenSource();
            var compactions = Task.Run(async () =>
            {
                while (!done.IsCancellationRequested)
                {
                    await tier.CompactJournalAsync(StoreFixture.Deadline);
                }
            });

            // 10 MB of entries for files that change again and again: 1.3 MB of them count, and from 6.6 MB on a compaction is worth it.
            for (var i = 0; i < 8 * Files; i++)
            {
                await ReferenceAsync(fixture, tier, i % Files, $"content {i}");
            }

            await done.CancelAsync();
            await compactions;
            Assert.InRange(journal.Length, 1, 8 << 20);
        }

        using var reopened = ReferenceJournal.Open(journalFolder);
        Assert.Null(reopened.Damage);
        Assert.Equal(Enumerable.Range(0, Files).Select(i => fixture[$"file{i}"]).Order(StringComparer.Ordinal), reopened.Recovered.Select(file => file.Path).Order(StringComparer.Ordinal));
        Assert.All(reopened.Recovered, file => Assert.Equal(1000, file.Extents.Count));
    }

    private static async Task ReferenceAsync(StoreFixture fixture, ReferenceTier tier, int number, string content)
    {
        var path = fixture[$"file{number}"];
        await File.WriteAllTextAsync(path, content.PadRight(1000) + content);
        FileIdentity identity;
        using (var file = File.OpenHandle(path))
        {
            identity = FileIdentity.Of(file);
        }

        // The tier believes its caller's digests.
        var extents = Enumerable.Range(0, 1000).Select(offset => new FileExtent(new ShardInfo(fixture.NewShard(32).Shard.Digest, 1), offset)).ToList();
        await tier.ReferenceAsync(path, identity, extents, StoreFixture.Deadline);
    }
}
