using System.Runtime.Versioning;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Adopting;
using P2PWeights.Store.Content;
using P2PWeights.Store.Tests.References;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Adopting;

/// <summary>Shards taken from files of another store without a copy.</summary>
[SupportedOSPlatform("linux")]
public sealed class AdoptionTests
{
    [Fact]
    public async Task Whole_file_of_the_other_disk_tier_is_linked_and_outlives_the_other_replica()
    {
        await using var owner = new StoreFixture();
        await using var taker = new StoreFixture();
        var (shard, bytes, path) = await OnDiskAsync(owner);
        await taker.OpenAsync(memory: 0);

        Assert.True(await AdoptAsync(taker, shard, path, 0, Tiers.Disk));

        Assert.Equal(Tiers.Disk, taker.Store.Locate(shard.Digest));
        Assert.Equal(owner.Store.Usage.Tiers[1].Bytes, taker.Store.Usage.Tiers[1].Bytes);
        Assert.Equal(Identity(path), Identity(DiskPath(taker, shard)));
        await owner.Store.EvictAsync(shard.Digest, Tiers.Disk, StoreFixture.Deadline);
        Assert.Equal(bytes, await taker.Store.GetAsync(shard.Digest));
        Assert.Equal(bytes, await (await taker.ReopenAsync(memory: 0)).GetAsync(shard.Digest));
    }

    [Theory]
    [InlineData(true, "writable")]
    [InlineData(true, "named otherwise")]
    [InlineData(false, "")]
    public async Task File_that_may_be_edited_later_or_has_no_room_is_referenced_and_not_linked(bool hasRoom, string how)
    {
        await using var owner = new StoreFixture();
        await using var taker = new StoreFixture();
        var (shard, bytes, path) = await OnDiskAsync(owner);
        if (how == "writable")
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }
        else if (how == "named otherwise")
        {
            File.Move(path, path = owner["model.bin"]);
        }

        await taker.OpenAsync(memory: 0, disk: hasRoom ? 1L << 30 : 0);

        Assert.True(await AdoptAsync(taker, shard, path, 0, Tiers.Disk));

        Assert.Equal(Tiers.Reference, taker.Store.Locate(shard.Digest));
        Assert.False(File.Exists(DiskPath(taker, shard)));
        Assert.Equal(bytes, await taker.Store.GetAsync(shard.Digest));
    }

    [Fact]
    public async Task Ranges_adopted_at_once_are_referenced_and_survive_a_restart()
    {
        await using var taker = new StoreFixture();
        await taker.OpenAsync();
        var shards = Enumerable.Range(0, 40).Select(i => taker.NewShard(10_000 + i)).ToArray();
        File.WriteAllBytes(taker["model.bin"], [.. shards.SelectMany(shard => shard.Bytes)]);
        var offsets = shards.Select((_, i) => shards[..i].Sum(before => (long)before.Bytes.Length)).ToArray();

        var adopted = await Task.WhenAll(shards.Select((shard, i) => Task.Run(() => AdoptAsync(taker, shard.Shard, taker["model.bin"], offsets[i], Tiers.Reference))));

        Assert.All(adopted, Assert.True);
        Assert.Equal(0, taker.Store.Usage.Tiers[0].Bytes);
        await AssertHeldAsync();
        await taker.ReopenAsync();
        await AssertHeldAsync();

        async Task AssertHeldAsync()
        {
            foreach (var (shard, bytes) in shards)
            {
                Assert.Equal(Tiers.Reference, taker.Store.Locate(shard.Digest));
                Assert.Equal(bytes, await taker.Store.GetAsync(shard.Digest));
            }
        }
    }

    [Theory]
    [InlineData(Tiers.Disk)]
    [InlineData(Tiers.Reference)]
    public async Task Bytes_that_are_not_the_shard_never_reach_a_reader(Tiers tier)
    {
        await using var owner = new StoreFixture();
        await using var taker = new StoreFixture();
        var (shard, _, path) = await OnDiskAsync(owner);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite))
        {
            RandomAccess.Write(file, [1, 2, 3], 4000);
        }

        File.SetUnixFileMode(path, UnixFileMode.UserRead);
        await taker.OpenAsync(memory: 0);
        Assert.True(await AdoptAsync(taker, shard, path, 0, tier));
        Assert.Equal(tier, taker.Store.Locate(shard.Digest));

        Assert.Null(await taker.Store.LeaseAsync(shard.Digest, StoreFixture.Deadline));

        Assert.False(taker.Store.Contains(shard.Digest));
        Assert.True(File.Exists(path));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Lie_about_a_file_that_this_node_published_costs_the_publication_nothing(bool restarted)
    {
        await using var taker = new StoreFixture();
        await taker.OpenAsync(memory: 0);
        var published = await ReferenceTests.PublishAsync(taker, "model.bin", 10_000, 20_000, 30_000);
        var changes = new List<ShardChange>();

        // As long as one of the shards, and as the first of them: somebody who knows the file said that other bytes lie there.
        foreach (var (size, offset) in ((int, long)[])[(20_000, 10_000), (5_000, 0)])
        {
            if (restarted)
            {
                await taker.ReopenAsync(memory: 0);
            }

            taker.Store.Changed += changes.Add;
            var (lie, _) = taker.NewShard(size);
            Assert.True(await AdoptAsync(taker, lie, taker["model.bin"], offset, Tiers.Reference));

            Assert.Null(await taker.Store.LeaseAsync(lie.Digest, StoreFixture.Deadline));
            Assert.Equal([new(lie, Gained: true), new(lie, Gained: false)], changes);
            taker.Store.Changed -= changes.Add;
            changes.Clear();
            await AssertServedAsync();
        }

        await taker.ReopenAsync(memory: 0);
        await AssertServedAsync();

        async Task AssertServedAsync()
        {
            Assert.Equal(published.Select(extent => extent.Shard).ToHashSet(), taker.Store.List().ToHashSet());
            Assert.Equal(published.Count, taker.Store.Usage.Tiers[2].Shards);
            foreach (var extent in published)
            {
                Assert.NotNull(await taker.Store.GetAsync(extent.Shard.Digest));
            }
        }
    }

    [Fact]
    public async Task Adopted_file_that_changes_is_not_served()
    {
        await using var taker = new StoreFixture();
        await taker.OpenAsync();
        var (shard, bytes) = taker.NewShard(10_000);
        File.WriteAllBytes(taker["model.bin"], bytes);
        Assert.True(await AdoptAsync(taker, shard, taker["model.bin"], 0, Tiers.Reference));

        File.AppendAllText(taker["model.bin"], "more");

        Assert.Null(await taker.Store.LeaseAsync(shard.Digest, StoreFixture.Deadline));
    }

    [Fact]
    public async Task Range_outside_of_its_file_and_unfinished_file_are_not_adopted()
    {
        await using var taker = new StoreFixture();
        await taker.OpenAsync();
        var (shard, bytes) = taker.NewShard(10_000);
        var unfinished = taker["model.bin.0123456789abcdef.partial"];
        File.WriteAllBytes(unfinished, bytes);
        File.WriteAllBytes(taker["model.bin"], bytes);

        Assert.False(await AdoptAsync(taker, shard, unfinished, 0, Tiers.Reference));
        Assert.False(await AdoptAsync(taker, shard, taker["model.bin"], 1, Tiers.Reference));
        Assert.False(await AdoptAsync(taker, shard, taker["model.bin"], -1, Tiers.Disk));
        Assert.False(await AdoptAsync(taker, shard, taker["model.bin"], long.MaxValue, Tiers.Disk));
        Assert.False(taker.Store.Contains(shard.Digest));
    }

    [Fact]
    public void Path_that_leads_elsewhere_is_not_opened()
    {
        using var folder = new P2PWeights.Testing.TempFolder();
        File.WriteAllText(folder["file"], "bytes");
        File.CreateSymbolicLink(folder["link"], "file");
        var identity = Identity(folder["file"]);

        foreach (var (path, asked) in ((string, FileIdentity)[])
            [("file", identity), (folder["link"], identity), (folder["nothing"], identity), (folder.Path + "//file", identity), (folder.Path + "/./file", identity), (folder.Path, identity), (folder["file"] + "\0x", identity), ("/dev/zero", identity), (folder["file"], identity with { Size = 4 })])
        {
            Assert.Null(ForeignFile.TryOpen(path, asked, isWritten: false, out var problem));
            Assert.False(string.IsNullOrEmpty(problem));
        }

        Assert.Null(ForeignArena.TryOpen(folder["file"], out var noArena));
        Assert.Contains("no arena", noArena, StringComparison.Ordinal);
        File.SetLastWriteTimeUtc(folder["file"], DateTime.UtcNow.AddDays(1));
        Assert.Null(ForeignFile.TryOpen(folder["file"], identity, isWritten: false, out _));
        using var written = ForeignFile.TryOpen(folder["file"], identity, isWritten: true, out _);
        Assert.NotNull(written);
    }

    [Fact]
    public async Task Arena_is_no_file_to_be_referenced_though_its_identity_never_changes()
    {
        await using var owner = new StoreFixture();
        await owner.OpenAsync();
        var arena = owner.Store.Arena!.Path;

        foreach (var isWritten in (bool[])[false, true])
        {
            // The kernel may still note the time of the store's last write to it, which is another identity.
            await Eventually.HoldsAsync(
                () =>
                {
                    using var file = PosixFile.OpenRead(arena, followSymlinks: false);
                    Assert.Null(ForeignFile.TryOpen(arena, FileIdentity.Of(file), isWritten, out var problem));
                    return problem!.Contains("is an arena", StringComparison.Ordinal);
                },
                "the arena is refused as one");
        }
    }

    [Theory]
    [InlineData(Tiers.Disk)]
    [InlineData(Tiers.Reference)]
    public async Task File_that_other_users_can_write_to_is_neither_linked_nor_referenced(Tiers tier)
    {
        await using var taker = new StoreFixture();
        await taker.OpenAsync(memory: 0);
        var (shard, bytes) = taker.NewShard(10_000);
        var path = taker[shard.Digest.ToString()];
        File.WriteAllBytes(path, bytes);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.OtherRead | UnixFileMode.OtherWrite);

        Assert.False(await AdoptAsync(taker, shard, path, 0, tier));

        Assert.False(taker.Store.Contains(shard.Digest));
    }

    private static async Task<(ShardInfo Shard, byte[] Bytes, string Path)> OnDiskAsync(StoreFixture owner)
    {
        await owner.OpenAsync(memory: 0);
        var (shard, bytes) = owner.NewShard(70_000);
        await owner.Store.PutAsync(shard, bytes);
        var path = DiskPath(owner, shard);
        Assert.True(PosixFile.TryStat(path, followSymlinks: false)?.IsReadOnly);
        return (shard, bytes, path);
    }

    private static string DiskPath(StoreFixture fixture, ShardInfo shard) =>
        Path.Combine(fixture.DataFolder, "shards", shard.Digest.ToString()[..2], shard.Digest.ToString());

    private static async Task<bool> AdoptAsync(StoreFixture taker, ShardInfo shard, string path, long offset, Tiers tier)
    {
        using var file = ForeignFile.TryOpen(path, Identity(path), isWritten: false, out var problem);
        Assert.True(file is not null, problem);
        return await taker.Store.AdoptAsync(shard, file, offset, tier, StoreFixture.Deadline);
    }

    private static FileIdentity Identity(string path)
    {
        using var file = File.OpenHandle(path);
        return FileIdentity.Of(file);
    }
}
