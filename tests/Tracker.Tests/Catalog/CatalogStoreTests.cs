using System.Globalization;
using P2PWeights.Testing;
using P2PWeights.Tracker.Catalog;

namespace P2PWeights.Tracker.Tests.Catalog;

/// <summary>The catalog on disk: what was acknowledged is there after any end of the process.</summary>
public sealed class CatalogStoreTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Open_after_dispose_finds_versions_tags_removals_and_event_numbers()
    {
        CatalogState before;
        await using (var store = await CatalogStore.OpenAsync(_folder.Path))
        {
            await PublishAsync(store, "m", "v1");
            await PublishAsync(store, "m", "v2");
            await ChangeAsync(store, number => new TagOperation(number, "m", "latest", "v1"));
            await ChangeAsync(store, number => new TagOperation(number, "m", "latest", "v2"));
            await ChangeAsync(store, number => new RemoveOperation(number, "m", "v1"));
            before = store.State;
        }

        await using var again = await CatalogStore.OpenAsync(_folder.Path);
        AssertSame(before, again.State);
        Assert.Equal(5, again.State.LastNumber);
        Assert.Equal("v2", again.State.Entry("m").Find("latest")!.Version);
        Assert.Null(again.State.Entry("m").Find("v1"));
    }

    [Fact]
    public async Task Open_copy_of_the_folder_of_a_store_that_never_stopped_finds_everything_acknowledged()
    {
        await using var store = await CatalogStore.OpenAsync(_folder["a"]);
        for (var i = 0; i < 50; i++)
        {
            await PublishAsync(store, "m", Version(i));
            if (i % 10 == 0)
            {
                var copy = _folder[Version(1000 + i)];
                Copy(_folder["a"], copy);
                await using var opened = await CatalogStore.OpenAsync(copy);
                AssertSame(store.State, opened.State);
            }
        }
    }

    [Fact]
    public async Task Open_torn_tail_of_log_and_commit_keeps_everything_acknowledged()
    {
        var seeded = new Seeded();
        await using (var store = await CatalogStore.OpenAsync(_folder.Path))
        {
            for (var i = 0; i < 20; i++)
            {
                await PublishAsync(store, "m", Version(i));
            }
        }

        // What a crash in the middle of the next change may leave: half an entry behind the committed end, half a commit record.
        var journal = _folder["journal"];
        using (var log = new FileStream(Path.Combine(journal, "catalog.log.0"), FileMode.Append))
        {
            log.Write(seeded.Bytes(700));
        }

        await File.WriteAllBytesAsync(Path.Combine(journal, $"commit.{Guid.NewGuid():N}.tmp"), seeded.Bytes(100));

        await using (var again = await CatalogStore.OpenAsync(_folder.Path))
        {
            Assert.Equal(20, again.State.Versions);
            await PublishAsync(again, "m", "after");
        }

        await using var third = await CatalogStore.OpenAsync(_folder.Path);
        Assert.Equal(21, third.State.Versions);
    }

    [Fact]
    public async Task Open_damaged_committed_entry_is_refused_and_not_skipped()
    {
        await using (var store = await CatalogStore.OpenAsync(_folder.Path))
        {
            for (var i = 0; i < 20; i++)
            {
                await PublishAsync(store, "m", Version(i));
            }
        }

        var log = _folder["journal/catalog.log.0"];
        var bytes = await File.ReadAllBytesAsync(log);
        bytes[bytes.AsSpan().IndexOf("v10"u8) + 1] ^= 1;
        await File.WriteAllBytesAsync(log, bytes);

        await Assert.ThrowsAsync<InvalidDataException>(() => CatalogStore.OpenAsync(_folder.Path));
    }

    [Fact]
    public async Task Open_damaged_or_missing_files_finds_everything_or_refuses_but_never_less()
    {
        var seeded = new Seeded();
        await using (var store = await CatalogStore.OpenAsync(_folder["sound"]))
        {
            for (var i = 0; i < 20; i++)
            {
                await PublishAsync(store, "m", Version(i));
            }
        }

        string[] files = [.. Directory.EnumerateFiles(_folder["sound"], "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(_folder["sound"], file))];
        Assert.Equal(["journal/catalog.log.0", "journal/commit", "snapshot"], files.Order(StringComparer.Ordinal));
        foreach (var file in files)
        {
            var length = (int)new FileInfo(_folder[$"sound/{file}"]).Length;
            await TryAsync($"without {file}", path => File.Delete(Path.Combine(path, file)));
            await TryAsync($"{file} empty", path => File.WriteAllBytes(Path.Combine(path, file), []));
            await TryAsync($"{file} of zeros", path => File.WriteAllBytes(Path.Combine(path, file), new byte[length]));
            await TryAsync($"{file} cut in half", path => File.WriteAllBytes(Path.Combine(path, file), File.ReadAllBytes(Path.Combine(path, file))[..(length / 2)]));
            for (var i = 0; i < 20; i++)
            {
                var place = seeded.Random.Next(length);
                await TryAsync($"byte {place} of {file} changed", path =>
                {
                    var bytes = File.ReadAllBytes(Path.Combine(path, file));
                    bytes[place] ^= 1;
                    File.WriteAllBytes(Path.Combine(path, file), bytes);
                });
            }
        }

        await TryAsync("without the journal", path => Directory.Delete(Path.Combine(path, "journal"), recursive: true));

        async Task TryAsync(string what, Action<string> damage)
        {
            var copy = _folder[Guid.NewGuid().ToString("N")];
            Copy(_folder["sound"], copy);
            damage(copy);
            try
            {
                await using var opened = await CatalogStore.OpenAsync(copy);
                Assert.True(opened.State.Versions == 20, $"{what}: opened with {opened.State.Versions} of 20 versions, {seeded}");
            }
            catch (InvalidDataException e)
            {
                Assert.Contains(copy, e.Message, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task Open_after_a_crash_while_the_journal_was_made_starts_anew()
    {
        Directory.CreateDirectory(_folder["journal.tmp"]);
        await File.WriteAllTextAsync(_folder["journal.tmp/catalog.log.0"], "half");

        await using var store = await CatalogStore.OpenAsync(_folder.Path);
        await PublishAsync(store, "m", "v1");

        Assert.Equal(1, store.State.Versions);
        Assert.False(Directory.Exists(_folder["journal.tmp"]));
    }

    [Fact]
    public async Task Open_damaged_snapshot_is_refused_with_its_path()
    {
        await using (var store = await CatalogStore.OpenAsync(_folder.Path))
        {
            await PublishAsync(store, "m", "v1");
            CatalogSnapshot.Write(_folder.Path, store.State);
        }

        var path = _folder["snapshot"];
        var bytes = await File.ReadAllBytesAsync(path);
        bytes[bytes.Length / 2] ^= 1;
        await File.WriteAllBytesAsync(path, bytes);

        var e = await Assert.ThrowsAsync<InvalidDataException>(() => CatalogStore.OpenAsync(_folder.Path));
        Assert.Contains(path, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Change_many_times_makes_a_snapshot_and_opens_the_same_from_it()
    {
        CatalogState before;
        await using (var store = await CatalogStore.OpenAsync(_folder.Path))
        {
            await PublishAsync(store, "m", "v1");
            for (var i = 0; i < CatalogStore.SnapshotEvery + 10; i++)
            {
                var tag = i % 2 == 0 ? "even" : "odd";
                await ChangeAsync(store, number => new TagOperation(number, "m", tag, "v1"));
            }

            before = store.State;
        }

        Assert.True(File.Exists(_folder["snapshot"]));
        await using var again = await CatalogStore.OpenAsync(_folder.Path);
        AssertSame(before, again.State);
        await PublishAsync(again, "m", "v2");
        Assert.Equal(before.LastNumber + 1, again.State.LastNumber);
    }

    [Fact]
    public void Snapshot_encodes_and_decodes_to_the_same()
    {
        var state = CatalogState.Empty;
        for (var i = 0; i < 2000; i++)
        {
            state = state.Apply(Publish(state.LastNumber + 1, Version(i % 7), Version(i)));
        }

        AssertSame(state, CatalogEncoding.DecodeSnapshot(CatalogEncoding.Encode(state)));
        Assert.Equal(CatalogState.KeptEvents, state.Events.Count);
    }

    [Fact]
    public async Task Tracker_second_on_one_folder_is_refused()
    {
        await using var first = await RunningTracker.StartAsync(_folder.Path);
        var e = await Assert.ThrowsAsync<TrackerException>(() => RunningTracker.StartAsync(_folder.Path));
        Assert.Equal(TrackerError.Locked, e.Error);
        Assert.Contains(_folder.Path, e.Message, StringComparison.Ordinal);
    }

    private static Task<bool> PublishAsync(CatalogStore store, string name, string version) =>
        ChangeAsync(store, number => Publish(number, name, version));

    private static PublishOperation Publish(long number, string name, string version) => new(
        number, name, new PublishedVersion(version, Make.Digest($"{name}@{version}"), 12345678901, 3, 77, new DateTimeOffset(2030, 1, 2, 3, 4, 5, TimeSpan.Zero)));

    private static Task<bool> ChangeAsync(CatalogStore store, Func<long, CatalogOperation> change) =>
        store.ChangeAsync<bool>(state => (change(state.LastNumber + 1), true), CancellationToken.None);

    private static void AssertSame(CatalogState expected, CatalogState actual)
    {
        Assert.Equal(expected.LastNumber, actual.LastNumber);
        Assert.Equal(expected.Events, actual.Events);
        Assert.Equal(expected.References.OrderBy(pair => pair.Key), actual.References.OrderBy(pair => pair.Key));
        Assert.Equal(expected.Entries.Keys, actual.Entries.Keys);
        foreach (var (name, entry) in expected.Entries)
        {
            Assert.Equal(entry.Versions, actual.Entries[name].Versions);
            Assert.Equal(entry.Tags, actual.Entries[name].Tags);
        }
    }

    private static string Version(int number) => string.Create(CultureInfo.InvariantCulture, $"v{number}");

    private static void Copy(string from, string to)
    {
        foreach (var path in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var target = Path.Combine(to, Path.GetRelativePath(from, path));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(path, target);
        }
    }
}
