using FASTER.core;
using P2PWeights.Store.Content;
using P2PWeights.Store.Index;
using P2PWeights.Store.Journals;
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

    [Fact]
    public async Task Journal_that_is_being_compacted_says_all_at_every_entry()
    {
        const int Extents = 3000;
        await using var fixture = new StoreFixture();
        var file = new ReferencedFile(1, "/somewhere/weights.bin", new FileIdentity(1, 2, Extents, 3), Unfinished: null);
        file.Extents.UnionWith(Enumerable.Range(0, Extents).Select(offset => new FileExtent(new ShardInfo(fixture.NewShard(32).Shard.Digest, 1), offset)));
        var written = 0;
        using (var journal = ReferenceJournal.Open(fixture["journal"]))
        {
            for (; journal.Length < 8 << 20; written++)
            {
                journal.Append(file, file.Extents);
            }

            // Given up before the cut: what else asks for a commit may have made any part of it durable by then.
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => journal.CompactAsync([file], new CancellationToken(canceled: true)).AsTask());
            await journal.CommitAsync(StoreFixture.Deadline);
        }

        var replay = new JournalReplay();
        var entries = 0;
        using var device = Devices.CreateLogDevice(Path.Combine(fixture["journal"], "journal.log"));
        using var log = new FasterLog(new FasterLogSettings
        {
            LogDevice = device,
            LogCommitManager = new JournalCommits(fixture["journal"]),
            PageSizeBits = 16,
            MemorySizeBits = 20,
            SegmentSizeBits = 24,
            LogChecksum = LogChecksumType.PerEntry,
        });
        using var scan = log.Scan(log.BeginAddress, log.TailAddress, recover: false);
        while (scan.GetNext(out var entry, out var length, out _, out _))
        {
            replay.Apply(entry.AsSpan(0, length));

            // One of the file, and three of its extents.
            Assert.True(++entries < 4 || Assert.Single(replay.Files).Extents.Count == Extents, $"entry {entries}");
        }

        Assert.True(entries > 4 * written, $"{entries} entries of {written} copies and one more");
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
