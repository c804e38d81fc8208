using System.Diagnostics;
using System.Globalization;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Tests;

public sealed class OpeningTests
{
    [Fact]
    public async Task Second_store_on_one_data_folder_is_refused_and_names_the_process_that_has_it()
    {
        await using var fixture = new StoreFixture();
        var first = await fixture.OpenAsync();

        var refused = await Assert.ThrowsAsync<StoreException>(() => fixture.OpenAsync());

        Assert.Equal(StoreError.Locked, refused.Error);
        Assert.Contains(Environment.ProcessId.ToString(CultureInfo.InvariantCulture), refused.Message);
        var (shard, bytes) = fixture.NewShard(1000);
        await first.PutAsync(shard, bytes);
        Assert.NotNull(await first.GetAsync(shard.Digest));
    }

    [Fact]
    public async Task Data_folder_that_is_a_file_is_refused_with_its_name()
    {
        await using var fixture = new StoreFixture();
        await File.WriteAllTextAsync(fixture.DataFolder, "a file");

        var refused = await Assert.ThrowsAsync<StoreException>(() => fixture.OpenAsync());

        Assert.Contains(fixture.DataFolder, refused.Message);
    }

    [Fact]
    public async Task Node_id_that_is_none_is_refused_and_not_replaced()
    {
        await using var fixture = new StoreFixture();
        await fixture.OpenAsync();
        await fixture.CloseAsync();
        await File.WriteAllTextAsync(Path.Combine(fixture.DataFolder, "node-id"), "who am I");

        var refused = await Assert.ThrowsAsync<StoreException>(() => fixture.OpenAsync());

        Assert.Equal(StoreError.Corrupt, refused.Error);
        Assert.Contains("node-id", refused.Message);
    }

    [Fact]
    public async Task Arena_that_does_not_fit_is_refused_with_both_numbers_and_leaves_nothing_behind()
    {
        await using var fixture = new StoreFixture();

        var refused = await Assert.ThrowsAsync<StoreException>(() => fixture.OpenAsync(memory: 1L << 46));

        Assert.Equal(StoreError.Full, refused.Error);
        Assert.Contains(fixture.ArenaRoot, refused.Message);
        Assert.Empty(Directory.EnumerateFiles(fixture.ArenaRoot, "*", SearchOption.AllDirectories));
        await fixture.OpenAsync(memory: 16 << 20);
    }

    [Fact]
    public async Task Ephemeral_arena_is_gone_after_the_store()
    {
        await using var fixture = new StoreFixture();
        var options = new StoreOptions { DataDirectory = fixture.DataFolder, ArenaRoot = fixture.ArenaRoot, MemoryBytes = 16 << 20, Ephemeral = true };

        await (await OpenAsync(options)).DisposeAsync();

        Assert.Empty(Directory.EnumerateFileSystemEntries(fixture.ArenaRoot));
    }

    [Fact]
    public async Task Arena_left_by_a_killed_command_is_swept_and_those_in_use_are_not()
    {
        await using var fixture = new StoreFixture();
        var killed = new StoreOptions { DataDirectory = fixture["killed"], ArenaRoot = fixture.ArenaRoot, MemoryBytes = 16 << 20, Ephemeral = true };
        await using var running = await OpenAsync(new StoreOptions { DataDirectory = fixture["running"], ArenaRoot = fixture.ArenaRoot, MemoryBytes = 16 << 20, Ephemeral = true });
        var store = await OpenAsync(killed);
        var arena = Directory.GetFiles(fixture.ArenaRoot, "arena", SearchOption.AllDirectories).Single(path => path.Contains(store.NodeId.ToString("N")));
        var copy = fixture["copy"];
        await using (var source = new FileStream(PosixFile.OpenRead(arena, followSymlinks: false), FileAccess.Read))
        await using (var target = File.Create(copy))
        {
            await source.CopyToAsync(target);
        }

        await store.DisposeAsync();
        Directory.CreateDirectory(Path.GetDirectoryName(arena)!);
        File.Move(copy, arena);

        await fixture.OpenAsync(memory: 16 << 20);

        Assert.False(File.Exists(arena));
        Assert.Equal(2, Directory.GetFiles(fixture.ArenaRoot, "arena", SearchOption.AllDirectories).Length);
    }

    [Fact]
    public async Task Disk_tier_of_which_somebody_removed_a_part_opens_without_it()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0);
        var (shard, bytes) = fixture.NewShard(1000);
        await store.PutAsync(shard, bytes);
        await fixture.CloseAsync();
        Directory.Delete(Path.Combine(fixture.DataFolder, "shards", shard.Digest.ToString()[..2]), recursive: true);

        store = await fixture.OpenAsync(memory: 0);

        Assert.Empty(store.List());
        await store.PutAsync(shard, bytes);
        Assert.Equal(bytes, await store.GetAsync(shard.Digest));
    }

    [Theory]
    [InlineData(64 << 20)] // into the arena
    [InlineData(0)] // into staging memory, for the disk
    public async Task Write_outlives_its_store_without_a_crash(long memory)
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory);
        var (shard, bytes) = fixture.NewShard(1_000_000);
        var write = await store.BeginWriteAsync(shard, null, StoreFixture.Deadline);

        await fixture.CloseAsync();

        // A network still writes here; unmapped memory would end the process.
        bytes.CopyTo(write.Buffer);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => write.CommitAsync(StoreFixture.Deadline).AsTask());
        write.Dispose();
    }

    [Fact]
    public async Task Closed_store_says_so()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync();
        await fixture.CloseAsync();

        Assert.Throws<ObjectDisposedException>(() => store.Contains(fixture.NewShard(1).Shard.Digest));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => store.LeaseAsync(fixture.NewShard(1).Shard.Digest, StoreFixture.Deadline).AsTask());
    }

    [Fact]
    public async Task Lease_outlives_its_store_without_a_crash()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync();
        var (shard, bytes) = fixture.NewShard(100_000);
        await store.PutAsync(shard, bytes);
        var lease = await store.LeaseAsync(shard.Digest, StoreFixture.Deadline);

        await fixture.CloseAsync();

        Assert.True(lease!.Value.Memory.Span.SequenceEqual(bytes));
        lease.Value.Dispose();
    }

    [Fact]
    public async Task Disk_that_is_full_fails_the_write_and_nothing_else()
    {
        await using var fixture = new StoreFixture();
        using var disk = SmallDisk.TryMount(fixture["small"], "48m");
        if (disk is null)
        {
            Assert.NotEqual("root", Environment.UserName);
            return;
        }

        var options = new StoreOptions { DataDirectory = fixture["small/data"], ArenaRoot = fixture.ArenaRoot, DiskBytes = 1L << 30, ScrubBytesPerSecond = 0 };
        await using var store = await OpenAsync(options);
        var stored = new List<ShardInfo>();
        var full = await Assert.ThrowsAsync<StoreException>(async () =>
        {
            for (var i = 0; i < 100; i++)
            {
                var (shard, bytes) = fixture.NewShard(8 << 20);
                await store.PutAsync(shard, bytes);
                stored.Add(shard);
            }
        });

        Assert.Equal(StoreError.Full, full.Error);
        Assert.Equal(stored.ToHashSet(), store.List().ToHashSet());
        Assert.Empty(Directory.EnumerateFiles(fixture["small/data/shards/tmp"]));
        foreach (var shard in stored)
        {
            Assert.NotNull(await store.GetAsync(shard.Digest));
        }
    }

    private static Task<ShardStore> OpenAsync(StoreOptions options) =>
        ShardStore.OpenAsync(options, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance, StoreFixture.Deadline);

    /// <summary>A tmpfs of limited size, for as long as it is not disposed. Only root can mount one.</summary>
    private sealed class SmallDisk(string path) : IDisposable
    {
        public static SmallDisk? TryMount(string path, string size)
        {
            Directory.CreateDirectory(path);
            return Run("mount", "-t", "tmpfs", "-o", $"size={size}", "p2pw-test", path) == 0 ? new SmallDisk(path) : null;
        }

        public void Dispose() => Run("umount", "-l", path);

        private static int Run(string command, params string[] arguments)
        {
            using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode;
        }
    }
}
