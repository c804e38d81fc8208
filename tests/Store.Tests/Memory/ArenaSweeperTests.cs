using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store.Memory;

namespace P2PWeights.Store.Tests.Memory;

/// <summary>What a start removes from the folder of arenas, and above all what it does not.</summary>
public sealed class ArenaSweeperTests
{
    private const int MiB = 1 << 20;

    [Fact]
    public async Task Arena_whose_data_folder_is_gone_is_removed_by_the_start_of_any_store()
    {
        await using var fixture = new StoreFixture();
        var orphan = await LeaveArenaAsync(fixture, "orphan");
        Directory.Delete(fixture["orphan"], recursive: true);

        await fixture.OpenAsync(memory: 0);

        Assert.False(Directory.Exists(orphan));
    }

    [Fact]
    public async Task Arena_whose_data_folder_belongs_to_another_node_by_now_is_removed()
    {
        await using var fixture = new StoreFixture();
        var replaced = await LeaveArenaAsync(fixture, "replaced");
        var emptied = await LeaveArenaAsync(fixture, "emptied");
        await File.WriteAllTextAsync(Path.Combine(fixture["replaced"], "node-id"), Guid.NewGuid().ToString("N"));
        Directory.Delete(fixture["emptied"], recursive: true);
        Directory.CreateDirectory(fixture["emptied"]);

        Assert.Equal(2, Sweep(fixture));

        Assert.False(Directory.Exists(replaced));
        Assert.False(Directory.Exists(emptied));
    }

    [Fact]
    public async Task Arena_of_a_node_that_is_only_stopped_stays_and_serves_again()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 16 * MiB);
        var (shard, bytes) = fixture.NewShard(100_000);
        await store.PutAsync(shard, bytes);
        await fixture.CloseAsync();

        Assert.Equal(0, Sweep(fixture));

        store = await fixture.OpenAsync(memory: 16 * MiB);
        Assert.Equal(Tiers.Memory, store.Locate(shard.Digest));
    }

    [Fact]
    public async Task Arena_in_use_stays_even_when_its_data_folder_is_gone()
    {
        await using var fixture = new StoreFixture();
        await using var running = await OpenAsync(fixture, "running");
        Directory.Move(fixture["running"], fixture["elsewhere"]);

        Assert.Equal(0, Sweep(fixture));

        Assert.True(File.Exists(ArenaOf(fixture, running.NodeId)));
        Directory.Move(fixture["elsewhere"], fixture["running"]);
    }

    [Fact]
    public async Task Arena_of_a_data_folder_that_moved_follows_it()
    {
        await using var fixture = new StoreFixture();
        var arena = await LeaveArenaAsync(fixture, "old");
        Directory.Move(fixture["old"], fixture["new"]);
        await (await OpenAsync(fixture, "new")).DisposeAsync();

        Assert.Equal(0, Sweep(fixture));

        Assert.True(Directory.Exists(arena));
    }

    [Fact]
    public async Task Arena_whose_making_was_cut_off_goes_with_its_data_folder()
    {
        await using var fixture = new StoreFixture();
        var arena = await LeaveArenaAsync(fixture, "cut");
        await using (var file = File.OpenWrite(Path.Combine(arena, "arena")))
        {
            // The magic comes last.
            file.Write(new byte[8]);
        }

        Assert.Equal(0, Sweep(fixture));
        Directory.Delete(fixture["cut"], recursive: true);
        Assert.Equal(1, Sweep(fixture));
    }

    [Fact]
    public async Task What_is_not_an_arena_is_never_touched()
    {
        await using var fixture = new StoreFixture();
        var orphan = await LeaveArenaAsync(fixture, "orphan");
        var target = fixture["target"];
        Directory.Move(orphan, target);
        Directory.Delete(fixture["orphan"], recursive: true);

        // An orphan behind a link, one under another name, one with somebody's file beside it, a file and an empty folder with an arena's name, a text as an arena.
        Directory.CreateSymbolicLink(orphan, target);
        var misnamed = Path.Combine(fixture.ArenaRoot, "p2pweights-of-mine");
        CopyArena(target, misnamed);
        File.WriteAllText(Path.Combine(fixture.ArenaRoot, "p2pweights-" + Guid.NewGuid().ToString("N")), "a file");
        Directory.CreateDirectory(NewFolder());
        var text = NewFolder();
        Directory.CreateDirectory(text);
        await File.WriteAllTextAsync(Path.Combine(text, "arena"), new string('x', 10_000));
        var before = Names();

        Assert.Equal(0, Sweep(fixture));
        Assert.Equal(before, Names());
        Assert.True(File.Exists(Path.Combine(target, "arena")));

        var shared = NewFolder();
        CopyArena(target, shared);
        await File.WriteAllTextAsync(Path.Combine(shared, "notes"), "mine");
        Assert.Equal(1, Sweep(fixture));
        Assert.Equal(["notes"], Directory.GetFiles(shared).Select(Path.GetFileName));

        string NewFolder() => Path.Combine(fixture.ArenaRoot, "p2pweights-" + Guid.NewGuid().ToString("N"));

        string[] Names() => [.. Directory.EnumerateFileSystemEntries(fixture.ArenaRoot, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)];
    }

    [Fact]
    public async Task Sweepers_at_once_and_nodes_that_start_meanwhile_do_not_harm_each_other()
    {
        await using var fixture = new StoreFixture();
        using var done = new CancellationTokenSource();
        var sweepers = Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                Sweep(fixture);
            }
        })).ToArray();

        // Ephemeral: swept whenever nobody has the lock, so that every start races with the removal of what it is about to open.
        for (var i = 0; i < 20; i++)
        {
            await using var store = await OpenAsync(fixture, "node", ephemeral: true);
            var (shard, bytes) = fixture.NewShard(10_000);
            await store.PutAsync(shard, bytes);
            Assert.True(File.Exists(ArenaOf(fixture, store.NodeId)), $"round {i}");
            Assert.Equal(bytes, await store.GetAsync(shard.Digest));
        }

        await done.CancelAsync();
        await Task.WhenAll(sweepers);
        Assert.Empty(Directory.EnumerateFileSystemEntries(fixture.ArenaRoot));
    }

    private static string ArenaOf(StoreFixture fixture, Guid nodeId) => Path.Combine(fixture.ArenaRoot, $"p2pweights-{nodeId:N}", "arena");

    /// <summary>Leaves what a stopped node leaves, and says where.</summary>
    private static async Task<string> LeaveArenaAsync(StoreFixture fixture, string name)
    {
        await using var store = await OpenAsync(fixture, name);
        return Path.GetDirectoryName(ArenaOf(fixture, store.NodeId))!;
    }

    private static Task<ShardStore> OpenAsync(StoreFixture fixture, string name, bool ephemeral = false) => ShardStore.OpenAsync(
        new StoreOptions { DataDirectory = fixture[name], ArenaRoot = fixture.ArenaRoot, MemoryBytes = 16 * MiB, Ephemeral = ephemeral, ScrubBytesPerSecond = 0 },
        TimeProvider.System,
        NullLoggerFactory.Instance,
        StoreFixture.Deadline);

    private static int Sweep(StoreFixture fixture) => ArenaSweeper.Sweep(fixture.ArenaRoot, except: Guid.Empty);

    private static void CopyArena(string from, string to)
    {
        Directory.CreateDirectory(to);
        File.Copy(Path.Combine(from, "arena"), Path.Combine(to, "arena"));
    }
}
