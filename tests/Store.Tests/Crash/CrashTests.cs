using System.Diagnostics;
using System.Globalization;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests.Crash;

/// <summary>A real process is killed with SIGKILL while it writes; what it had acknowledged is there afterwards, and all of it is right.</summary>
public sealed class CrashTests
{
    // The arena of the writer has room for 32 MiB, so later runs of shards are memory evictions and demotions to disk.
    [Theory]
    [InlineData(5)]
    [InlineData(60)]
    [InlineData(700)]
    public async Task Store_killed_while_writing_has_everything_acknowledged_when_opened_again(int lines)
    {
        await using var fixture = new StoreFixture();
        Directory.CreateDirectory(fixture["files"]);
        var acknowledged = new Dictionary<Digest, Tiers>();

        // Killed twice: the second process starts from what the first left behind.
        for (var round = 0; round < 2; round++)
        {
            await RunAndKillAsync(fixture, lines, round, acknowledged);
        }

        var store = await fixture.OpenAsync(memory: 32 << 20);
        foreach (var (digest, tiers) in acknowledged)
        {
            Assert.True(store.Contains(digest), $"{digest} was acknowledged in {tiers} and is lost; {fixture.Seeded}");
        }

        // A lease hashes what has not been proved; every shard in the list must survive that.
        foreach (var shard in store.List())
        {
            Assert.True(await store.GetAsync(shard.Digest) is not null, $"{shard.Digest} in {store.Locate(shard.Digest)} is not right; {fixture.Seeded}");
        }

        Assert.Empty((await store.ScrubAsync(null, 0, null, StoreFixture.Deadline)).Wrong);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(fixture.DataFolder, "shards", "tmp")));
    }

    private static async Task RunAndKillAsync(StoreFixture fixture, int lines, int round, Dictionary<Digest, Tiers> acknowledged)
    {
        var files = Directory.CreateDirectory(fixture[$"files/{round}"]).FullName;
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        foreach (var argument in (string[])["exec", typeof(CrashTests).Assembly.Location, fixture.DataFolder, fixture.ArenaRoot, files,
            (fixture.Seeded.Seed + round).ToString(CultureInfo.InvariantCulture)])
        {
            start.ArgumentList.Add(argument);
        }

        using var writer = Process.Start(start)!;
        try
        {
            Assert.Equal("open", await writer.StandardOutput.ReadLineAsync(StoreFixture.Deadline));
            for (var i = 0; i < lines; i++)
            {
                Note(await writer.StandardOutput.ReadLineAsync(StoreFixture.Deadline));
            }
        }
        finally
        {
            ProcessControl.Signal(writer.Id, PosixSignalNumber.Kill);
            await writer.WaitForExitAsync(StoreFixture.Deadline);
        }

        // Lines that were in the pipe when it died count too; a half-written last one does not.
        while (await writer.StandardOutput.ReadLineAsync(StoreFixture.Deadline) is { } line)
        {
            Note(line);
        }

        void Note(string? line)
        {
            Assert.NotNull(line);
            if (line.Split(' ') is [var digest, var tiers] && Digest.TryParse(digest, out var parsed) && int.TryParse(tiers, CultureInfo.InvariantCulture, out var held))
            {
                acknowledged[parsed] = (Tiers)held;
            }
        }
    }
}
