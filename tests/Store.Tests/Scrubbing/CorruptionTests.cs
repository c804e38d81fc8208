using System.Runtime.Versioning;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store.Content;
using P2PWeights.Store.Tests.References;

namespace P2PWeights.Store.Tests.Scrubbing;

/// <summary>Bytes that changed behind the store's back are found by the first lease after a start and by a scrub, and never reach a reader.</summary>
[SupportedOSPlatform("linux")]
public sealed class CorruptionTests
{
    private const int Size = 300_000;

    public static TheoryData<Tiers> AllTiers => [Tiers.Memory, Tiers.Disk, Tiers.Reference];

    [Theory]
    [MemberData(nameof(AllTiers))]
    public async Task Flipped_bit_is_found_by_the_first_lease_after_a_restart(Tiers tier)
    {
        await using var fixture = new StoreFixture();
        var (shard, place) = await PutAsync(fixture, tier);
        await fixture.CloseAsync();
        Flip(place);

        var store = await OpenAsync(fixture, tier);

        Assert.Equal(tier, store.Locate(shard.Digest));
        var changes = new List<ShardChange>();
        store.Changed += changes.Add;
        Assert.Null(await store.LeaseAsync(shard.Digest, StoreFixture.Deadline));
        Assert.Equal([new ShardChange(shard, Gained: false)], changes);
        AssertQuarantined(fixture, tier, shard);
    }

    [Theory]
    [MemberData(nameof(AllTiers))]
    public async Task Flipped_bit_is_found_by_a_scrub(Tiers tier)
    {
        await using var fixture = new StoreFixture();
        var (shard, place) = await PutAsync(fixture, tier);
        var (other, bytes) = fixture.NewShard(1000);
        await fixture.Store.PutAsync(other, bytes);
        Assert.NotNull(await fixture.Store.GetAsync(shard.Digest));
        Flip(place);

        var report = await fixture.Store.ScrubAsync(null, 0, null, StoreFixture.Deadline);

        Assert.Equal((2, Size + 1000), (report.Checked, report.Bytes));
        var (wrong, wrongTier, where) = Assert.Single(report.Wrong);
        Assert.Equal((shard, tier), (wrong, wrongTier));
        Assert.NotEmpty(where);
        Assert.Equal([other], fixture.Store.List());
        AssertQuarantined(fixture, tier, shard);
    }

    [Fact]
    public async Task Replica_that_is_wrong_gives_way_to_one_that_is_right()
    {
        await using var fixture = new StoreFixture();
        var (shard, place) = await PutAsync(fixture, Tiers.Memory);
        var bytes = await fixture.Store.GetAsync(shard.Digest);
        await File.WriteAllBytesAsync(fixture["weights.bin"], bytes!);
        await fixture.Store.ReferenceAsync(
            fixture["weights.bin"], ReferenceTests.Identity(fixture["weights.bin"]), [new FileExtent(shard, 0)], StoreFixture.Deadline);
        await fixture.CloseAsync();
        Flip(place);

        var store = await OpenAsync(fixture, Tiers.Memory);

        Assert.Equal(bytes, await store.GetAsync(shard.Digest));
        Assert.Equal(Tiers.Reference, store.Locate(shard.Digest));
    }

    [Fact]
    public async Task Shard_found_wrong_can_be_written_again()
    {
        await using var fixture = new StoreFixture();
        var (shard, place) = await PutAsync(fixture, Tiers.Disk);
        var bytes = await fixture.Store.GetAsync(shard.Digest);
        Flip(place);
        Assert.Single((await fixture.Store.ScrubAsync([shard.Digest], 0, null, StoreFixture.Deadline)).Wrong);

        await fixture.Store.PutAsync(shard, bytes!);

        Assert.Equal(bytes, await fixture.Store.GetAsync(shard.Digest));
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("short")]
    [InlineData("long")]
    public async Task Disk_file_of_another_length_is_dropped(string how)
    {
        await using var fixture = new StoreFixture();
        var (shard, (path, _)) = await PutAsync(fixture, Tiers.Disk);
        switch (how)
        {
            case "missing":
                File.Delete(path);
                break;
            default:
                using (var file = File.OpenWrite(path))
                {
                    file.SetLength(how == "short" ? Size - 1 : Size + 1);
                }

                break;
        }

        Assert.Null(await fixture.Store.LeaseAsync(shard.Digest, StoreFixture.Deadline));
        Assert.False(fixture.Store.Contains(shard.Digest));
        Assert.Equal(0, fixture.Store.Usage.Tiers[1].Bytes);
    }

    [Fact]
    public async Task Scrub_keeps_to_its_rate()
    {
        await using var fixture = new StoreFixture();
        var time = new ManualTime();
        await using var store = await ShardStore.OpenAsync(fixture.Options(), time, NullLoggerFactory.Instance, StoreFixture.Deadline);
        for (var i = 0; i < 3; i++)
        {
            var (shard, bytes) = fixture.NewShard(1 << 20);
            await store.PutAsync(shard, bytes);
        }

        var scrub = store.ScrubAsync(null, bytesPerSecond: 1 << 20, null, StoreFixture.Deadline);

        // Three shards of one second each: the scrub waits on the clock after each.
        for (var second = 1; second <= 3; second++)
        {
            var due = await time.NextDueAsync(StoreFixture.Deadline);
            Assert.Equal(TimeSpan.FromSeconds(1), due);
            Assert.False(scrub.IsCompleted);
            time.Advance(due);
        }

        Assert.Equal(3, (await scrub).Checked);
    }

    private static Task<ShardStore> OpenAsync(StoreFixture fixture, Tiers tier) => fixture.OpenAsync(memory: tier == Tiers.Memory ? 64 << 20 : 0);

    /// <summary>Stores a shard in a tier and tells in which file, and where in it, its bytes lie.</summary>
    private static async Task<(ShardInfo Shard, (string Path, long Offset) Place)> PutAsync(StoreFixture fixture, Tiers tier)
    {
        var store = await OpenAsync(fixture, tier);
        if (tier == Tiers.Reference)
        {
            var extent = (await ReferenceTests.PublishAsync(fixture, "weights.bin", Size))[0];
            return (extent.Shard, (fixture["weights.bin"], 0));
        }

        var (shard, bytes) = fixture.NewShard(Size);
        await store.PutAsync(shard, bytes);
        using var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline);
        var name = shard.Digest.ToString();
        return (shard, tier == Tiers.Memory
            ? (Directory.GetFiles(fixture.ArenaRoot, "arena", SearchOption.AllDirectories).Single(), lease!.Value.Offset)
            : (Path.Combine(fixture.DataFolder, "shards", name[..2], name), 0));
    }

    /// <summary>Flips a bit in the middle of a shard; of a file, without moving its mtime.</summary>
    private static void Flip((string Path, long Offset) place)
    {
        File.SetUnixFileMode(place.Path, File.GetUnixFileMode(place.Path) | UnixFileMode.UserWrite);
        var modified = new FileInfo(place.Path).LastWriteTimeUtc;
        ReferenceTests.Flip(place.Path, place.Offset + (Size / 2));
        File.SetLastWriteTimeUtc(place.Path, modified);
    }

    private static void AssertQuarantined(StoreFixture fixture, Tiers tier, ShardInfo shard)
    {
        var quarantine = Directory.EnumerateFiles(Path.Combine(fixture.DataFolder, "quarantine")).Select(Path.GetFileName);
        Assert.Equal(tier == Tiers.Disk ? [shard.Digest.ToString()] : [], quarantine);
    }
}
