using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Index;
using P2PWeights.Store.References;

namespace P2PWeights.Store.Tests.References;

/// <summary>Files that belong to somebody else: served in place while they are what was hashed, never afterwards.</summary>
public sealed class ReferenceTests
{
    [Fact]
    public async Task Referenced_ranges_are_leased_in_place_and_survive_a_restart()
    {
        await using var fixture = new StoreFixture();
        await fixture.OpenAsync(memory: 0);
        var shards = await PublishAsync(fixture, "weights.bin", 10_000, 1, 70_000);

        await AssertServedAsync();
        await fixture.ReopenAsync(memory: 0);
        await AssertServedAsync();

        async Task AssertServedAsync()
        {
            Assert.Equal(3, fixture.Store.Usage.Tiers[2].Shards);
            foreach (var (shard, offset) in shards)
            {
                using var lease = await fixture.Store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
                Assert.Equal((Tiers.Reference, offset), (lease!.Value.Tier, lease.Value.Offset));
                var bytes = new byte[shard.Size];
                await lease.Value.ReadAsync(bytes, StoreFixture.Deadline);
                Assert.Equal(shard.Digest, Blake3.Hash(bytes));
            }
        }
    }

    public static TheoryData<string> Changes => ["modified", "truncated", "deleted", "replaced", "moved"];

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task File_changed_after_publish_is_never_served_and_all_its_replicas_are_withdrawn(string change)
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var extents = await PublishAsync(fixture, "weights.bin", 10_000, 20_000);

        // Open before the change: a handle that still reads the old bytes must not be used.
        Assert.NotNull(await store.GetAsync(extents[0].Shard.Digest));
        var lost = new List<ShardChange>();
        store.Changed += lost.Add;
        Change(fixture["weights.bin"], change);

        Assert.Null(await store.LeaseAsync(extents[1].Shard.Digest, StoreFixture.Deadline));

        Assert.All(extents, extent => Assert.False(store.Contains(extent.Shard.Digest)));
        Assert.Equal(extents.Select(extent => new ShardChange(extent.Shard, Gained: false)).ToHashSet(), lost.ToHashSet());
    }

    [Theory]
    [MemberData(nameof(Changes))]
    public async Task File_changed_while_the_node_was_down_is_not_offered_afterwards(string change)
    {
        await using var fixture = new StoreFixture();
        await fixture.OpenAsync(memory: 0);
        var extents = await PublishAsync(fixture, "weights.bin", 10_000, 20_000);
        await fixture.CloseAsync();
        Change(fixture["weights.bin"], change);

        var store = await fixture.OpenAsync(memory: 0);

        Assert.All(extents, extent => Assert.False(store.Contains(extent.Shard.Digest)));
    }

    [Fact]
    public async Task File_changed_behind_its_identity_is_found_by_the_hash_of_the_first_lease()
    {
        await using var fixture = new StoreFixture();
        await fixture.OpenAsync(memory: 0);
        var (shard, bytes) = fixture.NewShard(20_000);
        var modified = new DateTime(2026, 1, 2, 3, 4, 5, DateTimeKind.Utc);
        await File.WriteAllBytesAsync(fixture["weights.bin"], bytes);
        File.SetLastWriteTimeUtc(fixture["weights.bin"], modified);
        var identity = Identity(fixture["weights.bin"]);
        await fixture.Store.ReferenceAsync(fixture["weights.bin"], identity, [new FileExtent(shard, 0)], StoreFixture.Deadline);
        await fixture.CloseAsync();
        Flip(fixture["weights.bin"], 15_000);
        File.SetLastWriteTimeUtc(fixture["weights.bin"], modified);
        Assert.Equal(identity, Identity(fixture["weights.bin"]));

        var store = await fixture.OpenAsync(memory: 0);

        Assert.True(store.Contains(shard.Digest));
        Assert.Null(await store.LeaseAsync(shard.Digest, StoreFixture.Deadline));
        Assert.False(store.Contains(shard.Digest));
    }

    [Fact]
    public async Task Proven_shard_that_turns_out_wrong_has_the_rest_of_its_file_hashed_again()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var extents = await PublishAsync(fixture, "weights.bin", 10_000, 20_000, 30_000);
        var identity = Identity(fixture["weights.bin"]);
        var modified = File.GetLastWriteTimeUtc(fixture["weights.bin"]);
        Flip(fixture["weights.bin"], 5_000);
        Flip(fixture["weights.bin"], 15_000);
        File.SetLastWriteTimeUtc(fixture["weights.bin"], modified);
        Assert.Equal(identity, Identity(fixture["weights.bin"]));

        var report = await store.ScrubAsync([extents[0].Shard.Digest], bytesPerSecond: 0, progress: null, StoreFixture.Deadline);

        Assert.Equal(extents[0].Shard, Assert.Single(report.Wrong).Shard);
        Assert.Null(await store.LeaseAsync(extents[1].Shard.Digest, StoreFixture.Deadline));
        Assert.NotNull(await store.GetAsync(extents[2].Shard.Digest));
        Assert.Equal([extents[2].Shard], store.List());
        Assert.Equal([extents[2].Shard], (await fixture.ReopenAsync(memory: 0)).List());
    }

    [Fact]
    public async Task Wrong_reference_is_dropped_whatever_size_it_was_said_to_have()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync();
        var (shard, bytes) = fixture.NewShard(10_000);
        var (other, others) = fixture.NewShard(5_000);
        await File.WriteAllBytesAsync(fixture["weights.bin"], [.. new byte[9_000], .. others]);
        var wrong = new FileExtent(new ShardInfo(shard.Digest, 9_000), 0);
        await store.ReferenceAsync(fixture["weights.bin"], Identity(fixture["weights.bin"]), [wrong, new FileExtent(other, 9_000)], StoreFixture.Deadline);

        // The index learns the right size, and nobody else has the shard then.
        await store.PutAsync(shard, bytes);
        Assert.Equal(Tiers.Memory, await store.EvictAsync(shard.Digest, Tiers.Memory, StoreFixture.Deadline));
        Assert.Equal(Tiers.Reference, store.Locate(shard.Digest));

        await store.ScrubAsync([shard.Digest], bytesPerSecond: 0, progress: null, StoreFixture.Deadline);

        Assert.False(store.Contains(shard.Digest));
        Assert.Null(await store.LeaseAsync(shard.Digest, StoreFixture.Deadline));
        Assert.Equal([other], store.List());
        Assert.Equal([other], (await fixture.ReopenAsync()).List());
    }

    [Fact]
    public async Task File_that_cannot_be_opened_goes_with_all_that_it_holds_at_once()
    {
        await using var fixture = new StoreFixture();
        var extents = Enumerable.Range(0, 3).Select(number => new FileExtent(fixture.NewShard(1000).Shard, 1000 * number)).ToList();
        await File.WriteAllBytesAsync(fixture["weights.bin"], new byte[3000]);
        using var index = ShardIndex.Open(fixture["index"], recover: false, new ChangeQueue());
        using var journal = ReferenceJournal.Open(fixture["journal"]);
        using var tier = new ReferenceTier(index, journal, TimeProvider.System);
        await tier.ReferenceAsync(fixture["weights.bin"], Identity(fixture["weights.bin"]), extents, StoreFixture.Deadline);

        // As the look of a node that may not read the file any more; a test that runs as root may read all.
        await tier.DropWrongAsync(index.Find(extents[0].Shard.Digest).FileId, extents[0].Shard.Digest, 0, wasOpen: false, wasProven: true, StoreFixture.Deadline);

        Assert.All(extents, extent => Assert.False(index.Find(extent.Shard.Digest).Has(Tiers.Reference)));
        Assert.Equal((0, 0), tier.Usage);
    }

    [Fact]
    public async Task File_that_changed_while_it_was_hashed_is_refused()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var (shard, bytes) = fixture.NewShard(5000);
        await File.WriteAllBytesAsync(fixture["weights.bin"], bytes);
        var identity = Identity(fixture["weights.bin"]);
        await File.AppendAllTextAsync(fixture["weights.bin"], "more");

        var refused = await Assert.ThrowsAsync<StoreException>(async () =>
            await store.ReferenceAsync(fixture["weights.bin"], identity, [new FileExtent(shard, 0)], StoreFixture.Deadline));

        Assert.Equal(StoreError.NotAllowed, refused.Error);
        Assert.Contains("weights.bin", refused.Message);
        Assert.False(store.Contains(shard.Digest));
    }

    [Fact]
    public async Task Shard_in_two_files_survives_the_loss_of_one()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var (shard, bytes) = fixture.NewShard(5000);
        foreach (var name in (string[])["one.bin", "two.bin"])
        {
            await File.WriteAllBytesAsync(fixture[name], bytes);
            await store.ReferenceAsync(fixture[name], Identity(fixture[name]), [new FileExtent(shard, 0)], StoreFixture.Deadline);
        }

        var changes = new List<ShardChange>();
        store.Changed += changes.Add;
        File.Delete(fixture["two.bin"]);

        Assert.Equal(bytes, await store.GetAsync(shard.Digest));
        Assert.Empty(changes);
    }

    [Fact]
    public async Task Publishing_a_changed_file_again_replaces_its_references()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var before = await PublishAsync(fixture, "weights.bin", 10_000);
        var after = await PublishAsync(fixture, "weights.bin", 10_000);

        Assert.False(store.Contains(before[0].Shard.Digest));
        Assert.NotNull(await store.GetAsync(after[0].Shard.Digest));
        store = await fixture.ReopenAsync(memory: 0);
        Assert.Equal([after[0].Shard], store.List());
    }

    [Fact]
    public async Task Extent_that_does_not_lie_in_the_file_is_refused()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var (shard, bytes) = fixture.NewShard(5000);
        await File.WriteAllBytesAsync(fixture["weights.bin"], bytes);

        await Assert.ThrowsAsync<ArgumentException>(async () =>
            await store.ReferenceAsync(fixture["weights.bin"], Identity(fixture["weights.bin"]), [new FileExtent(shard, 1)], StoreFixture.Deadline));
    }

    [Fact]
    public async Task Forgotten_reference_stays_forgotten_and_its_file_untouched()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var extents = await PublishAsync(fixture, "weights.bin", 10_000, 20_000);
        var before = Identity(fixture["weights.bin"]);

        Assert.Equal(Tiers.Reference, await store.EvictAsync(extents[0].Shard.Digest, Tiers.Reference, StoreFixture.Deadline));

        store = await fixture.ReopenAsync(memory: 0);
        Assert.Equal([extents[1].Shard], store.List());
        Assert.Equal(before, Identity(fixture["weights.bin"]));
    }

    [Fact]
    public async Task More_files_than_are_kept_open_are_all_served()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var digests = new List<Digest>();
        for (var i = 0; i < 300; i++)
        {
            digests.Add((await PublishAsync(fixture, $"file{i}", 100))[0].Shard.Digest);
        }

        var leases = new List<ShardLease>();
        foreach (var digest in digests)
        {
            leases.Add((await store.LeaseAsync(digest, StoreFixture.Deadline))!.Value);
        }

        var bytes = new byte[100];
        foreach (var lease in leases)
        {
            await lease.ReadAsync(bytes, StoreFixture.Deadline);
            lease.Dispose();
        }

        Assert.Equal(0, store.Usage.Leases);
    }

    internal static FileIdentity Identity(string path)
    {
        using var file = File.OpenHandle(path, share: FileShare.ReadWrite);
        return FileIdentity.Of(file);
    }

    /// <summary>Writes a file of random shards and references them.</summary>
    internal static async Task<List<FileExtent>> PublishAsync(StoreFixture fixture, string name, params int[] sizes)
    {
        var extents = new List<FileExtent>();
        var offset = 0L;
        await using (var file = File.Create(fixture[name]))
        {
            foreach (var size in sizes)
            {
                var (shard, bytes) = fixture.NewShard(size);
                await file.WriteAsync(bytes);
                extents.Add(new FileExtent(shard, offset));
                offset += size;
            }
        }

        // .NET sets times in steps of 100 ns: so that a test can put the time back after a change.
        File.SetLastWriteTimeUtc(fixture[name], File.GetLastWriteTimeUtc(fixture[name]));
        await fixture.Store.ReferenceAsync(fixture[name], Identity(fixture[name]), extents, StoreFixture.Deadline);
        return extents;
    }

    private static void Change(string path, string change)
    {
        switch (change)
        {
            case "modified":
                Flip(path, 10);
                File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddMinutes(1));
                break;
            case "truncated":
                using (var file = File.OpenWrite(path))
                {
                    file.SetLength(29_999);
                }

                break;
            case "deleted":
                File.Delete(path);
                break;
            case "replaced":
                File.Copy(path, path + ".new");
                File.Move(path + ".new", path, overwrite: true);
                break;
            default:
                File.Move(path, path + ".moved");
                break;
        }
    }

    internal static void Flip(string path, long offset)
    {
        // Not by .NET's own open: it takes a lock, and an arena in use has one already.
        using var folder = FolderHandle.Open(Path.GetDirectoryName(path)!);
        using var file = folder.OpenFile(Path.GetFileName(path), FileOpening.ReadWrite)!;
        var one = new byte[1];
        Assert.Equal(1, RandomAccess.Read(file, one, offset));
        one[0] ^= 0x10;
        RandomAccess.Write(file, one, offset);
    }
}
