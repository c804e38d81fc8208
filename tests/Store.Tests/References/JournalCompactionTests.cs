using P2PWeights.Store.Content;
using P2PWeights.Store.Index;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Tests.References;

public sealed class JournalCompactionTests
{
    [Fact]
    public async Task Files_referenced_during_compactions_are_all_there_afterwards()
    {
        const int Files = 150;
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

            // Every file is dropped and referenced again, with entries of 44 KB: some 13 MB of journal, of which half is outdated, so several compactions.
            for (var i = 0; i < Files; i++)
            {
                await ReferenceAsync(fixture, tier, i, "first");
                await ReferenceAsync(fixture, tier, i, "second");
            }

            await done.CancelAsync();
            await compactions;
        }

        using var reopened = ReferenceJournal.Open(journalFolder);
        Assert.Null(reopened.Damage);
        Assert.Equal(Enumerable.Range(0, Files).Select(i => fixture[$"file{i}"]), reopened.Recovered.Select(file => file.Path));
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
