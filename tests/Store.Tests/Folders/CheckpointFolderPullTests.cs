using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Folders;

public sealed class CheckpointFolderPullTests : IDisposable
{
    private const int ShardBytes = TestCheckpoint.ShardBytes;

    private readonly TempFolder _temp = new();
    private readonly Seeded _seeded = new();

    public void Dispose() => _temp.Dispose();

    public static TheoryData<int> EdgeSizes() => [0, 1, ShardBytes - 1, ShardBytes, ShardBytes + 1, (3 * ShardBytes) + 7];

    [Theory]
    [MemberData(nameof(EdgeSizes))]
    public async Task Pulled_folder_equals_the_published_one_at_every_edge_size(int size)
    {
        var checkpoint = new TestCheckpoint(("file", _seeded.Bytes(size)));
        await checkpoint.PullAllAsync(_temp.Path);
        checkpoint.AssertIsIn(_temp.Path);
    }

    [Fact]
    public async Task Nested_hidden_unicode_and_empty_files_and_shards_used_twice_all_arrive()
    {
        var twice = _seeded.Bytes(ShardBytes);
        var checkpoint = new TestCheckpoint(
            (".hidden", _seeded.Bytes(10)),
            ("deep/er/and deeper/模型 ünïcödé.bin", _seeded.Bytes(100_000)),
            ("deep/empty", []),
            ("empty", []),
            ("twice.bin", [.. twice, .. _seeded.Bytes(5), .. new byte[ShardBytes], .. twice]),
            ("again.bin", [.. twice, .. twice]),
            (new string('n', 200), [1]));

        await checkpoint.PullAllAsync(_temp.Path);
        checkpoint.AssertIsIn(_temp.Path);
        Assert.Empty(await checkpoint.PullAllAsync(_temp.Path));
    }

    [Fact]
    public async Task Interrupted_pull_resumes_with_exactly_what_was_written()
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(10 * ShardBytes)), ("b/c", _seeded.Bytes((5 * ShardBytes) + 100)), ("d", []));
        var ordinals = Enumerable.Range(0, checkpoint.Manifest.Shards.Length).ToArray();
        _seeded.Random.Shuffle(ordinals);
        var written = ordinals[..7];
        await using (var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest))
        {
            await checkpoint.PullAsync(folder, written);
        }

        Assert.All(Directory.GetFiles(_temp.Path, "*", SearchOption.AllDirectories), path => Assert.EndsWith(checkpoint.PartialSuffix, path, StringComparison.Ordinal));
        var pulled = await checkpoint.PullAllAsync(_temp.Path);
        Assert.True(ordinals[7..].Order().SequenceEqual(pulled), $"pulled {string.Join(' ', pulled)} after {string.Join(' ', written)}; {_seeded}");
        checkpoint.AssertIsIn(_temp.Path);
    }

    [Fact]
    public async Task Torn_and_foreign_bytes_in_an_unfinished_file_are_pulled_again()
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(4 * ShardBytes)));
        await using (var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest))
        {
            await checkpoint.PullAsync(folder, [0, 1, 3]);
        }

        var partial = _temp["a" + checkpoint.PartialSuffix];
        var bytes = File.ReadAllBytes(partial);
        bytes[(3 * ShardBytes) - 1] ^= 1; // shard 2: never written, now not a hole either
        bytes.AsSpan(ShardBytes / 2, ShardBytes).Clear(); // shards 0 and 1: torn
        File.WriteAllBytes(partial, [.. bytes, .. "and a tail past the end"u8]);

        var pulled = await checkpoint.PullAllAsync(_temp.Path);
        Assert.Equal([0, 1, 2], pulled);
        checkpoint.AssertIsIn(_temp.Path);
    }

    [Fact]
    public async Task Unfinished_file_that_was_truncated_counts_up_to_its_end()
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(4 * ShardBytes)));
        await using (var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest))
        {
            await checkpoint.PullAsync(folder, [0, 1, 2, 3]);
        }

        using (var partial = File.OpenHandle(_temp["a" + checkpoint.PartialSuffix], FileMode.Open, FileAccess.ReadWrite))
        {
            RandomAccess.SetLength(partial, (2 * ShardBytes) + 1);
        }

        var pulled = await checkpoint.PullAllAsync(_temp.Path);
        Assert.Equal([2, 3], pulled);
        checkpoint.AssertIsIn(_temp.Path);
    }

    [Fact]
    public async Task Files_have_their_final_names_only_after_completion()
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(100)), ("b", _seeded.Bytes(100)));
        await using var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest);
        await checkpoint.PullAsync(folder, [0]);
        await Assert.ThrowsAsync<InvalidOperationException>(() => folder.CompleteAsync(CancellationToken.None));
        await checkpoint.PullAsync(folder, [1]);
        Assert.Equal(["a" + checkpoint.PartialSuffix, "b" + checkpoint.PartialSuffix], Names());

        var finished = await folder.CompleteAsync(CancellationToken.None);
        Assert.Equal(["a", "b"], Names());
        Assert.Equal([_temp["a"], _temp["b"]], finished.Select(file => file.Path));
        Assert.All(finished, file =>
        {
            using var handle = File.OpenHandle(file.Path);
            Assert.Equal(file.Identity, FileIdentity.Of(handle));
        });
        Assert.Equivalent(finished, await folder.CompleteAsync(CancellationToken.None));

        IEnumerable<string?> Names() => Directory.GetFiles(_temp.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Shard_places_name_every_file_and_offset_before_and_after_completion()
    {
        var twice = _seeded.Bytes(ShardBytes);
        var checkpoint = new TestCheckpoint(("a", [.. twice, .. _seeded.Bytes(10)]), ("b", [.. _seeded.Bytes(ShardBytes), .. twice]));
        await using var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest);
        var shard = checkpoint.Manifest.Shards[0];
        Assert.Empty(folder.PlacesOf(shard.Digest));

        var places = await folder.WriteShardAsync(shard, twice, CancellationToken.None);
        Assert.Equal([new(_temp["a" + checkpoint.PartialSuffix], 0), new ShardPlace(_temp["b" + checkpoint.PartialSuffix], ShardBytes)], places);
        Assert.All(places, place => Assert.Equal(twice, File.ReadAllBytes(place.Path).AsSpan((int)place.Offset, ShardBytes).ToArray()));

        await checkpoint.PullAsync(folder, [1, 2]);
        await folder.CompleteAsync(CancellationToken.None);
        Assert.Equal([new(_temp["a"], 0), new ShardPlace(_temp["b"], ShardBytes)], folder.PlacesOf(shard.Digest));
    }

    [Fact]
    public async Task Final_files_beside_unfinished_ones_are_kept_as_they_are()
    {
        var shared = _seeded.Bytes(ShardBytes);
        var checkpoint = new TestCheckpoint(("a", shared), ("b", [.. shared, .. _seeded.Bytes(9)]));
        await using (var begun = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest))
        {
            await checkpoint.PullAsync(begun, [1]);
        }

        File.WriteAllBytes(_temp["a"], shared);
        File.WriteAllText(_temp["a" + checkpoint.PartialSuffix], "left over");
        var before = File.GetLastWriteTimeUtc(_temp["a"]);

        var pulled = await checkpoint.PullAllAsync(_temp.Path);
        Assert.Equal([0], pulled);
        checkpoint.AssertIsIn(_temp.Path);
        Assert.Equal(before, File.GetLastWriteTimeUtc(_temp["a"]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Final_file_with_other_bytes_is_refused_and_never_overwritten(bool shorter)
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(3 * ShardBytes)));
        var mine = (byte[])checkpoint.Files["a"].Clone();
        mine[ShardBytes + 5] ^= 1;
        mine[(2 * ShardBytes) + 5] ^= 1;
        mine = shorter ? mine[..^1] : mine;
        File.WriteAllBytes(_temp["a"], mine);

        await using var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest);
        await Assert.ThrowsAsync<InvalidOperationException>(() => checkpoint.PullAsync(folder, [1]));
        await Assert.ThrowsAsync<InvalidOperationException>(() => folder.CompleteAsync(CancellationToken.None));
        var error = await Assert.ThrowsAsync<StoreException>(() => folder.ScanAsync(null, CancellationToken.None));
        Assert.Equal(StoreError.NotAllowed, error.Error);
        Assert.Contains($"'{_temp["a"]}'", error.Message, StringComparison.Ordinal);
        Assert.Contains(shorter ? $"{3 * ShardBytes} bytes" : $"bytes {ShardBytes} to {2 * ShardBytes}", error.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<InvalidOperationException>(() => checkpoint.PullAsync(folder, [1]));
        Assert.Equal(mine, File.ReadAllBytes(_temp["a"]));
    }

    [Fact]
    public async Task File_that_appears_under_a_final_name_during_the_pull_is_not_overwritten()
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(100)));
        await using var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest);
        await checkpoint.PullAsync(folder, [0]);
        File.WriteAllText(_temp["a"], "mine");

        var error = await Assert.ThrowsAsync<StoreException>(() => folder.CompleteAsync(CancellationToken.None));
        Assert.Equal(StoreError.NotAllowed, error.Error);
        Assert.Equal("mine", File.ReadAllText(_temp["a"]));

        File.Delete(_temp["a"]);
        await folder.CompleteAsync(CancellationToken.None);
        checkpoint.AssertIsIn(_temp.Path);
    }

    [Fact]
    public async Task Concurrent_writes_of_all_shards_by_many_hands_give_the_files()
    {
        var checkpoint = new TestCheckpoint(Enumerable.Range(0, 8).Select(i => ($"{i % 3}/{i}", _seeded.Bytes(5 * ShardBytes))).ToArray());
        await using var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest);
        var twice = Enumerable.Range(0, checkpoint.Manifest.Shards.Length).SelectMany(ordinal => new[] { ordinal, ordinal });
        await Parallel.ForEachAsync(twice, new ParallelOptions { MaxDegreeOfParallelism = 8 }, async (ordinal, _) => await checkpoint.PullAsync(folder, [ordinal]));
        await folder.CompleteAsync(CancellationToken.None);
        checkpoint.AssertIsIn(_temp.Path);
    }

    [Fact]
    public async Task Only_files_that_were_begun_and_lack_shards_are_open()
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(2 * ShardBytes)), ("b", _seeded.Bytes(ShardBytes)), ("c", _seeded.Bytes(ShardBytes)));
        await using var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest);
        await checkpoint.PullAsync(folder, [0, 2]);
        Assert.Equal(["a" + checkpoint.PartialSuffix], Open());
        await checkpoint.PullAsync(folder, [1, 3]);
        Assert.Empty(Open());
        await folder.CompleteAsync(CancellationToken.None);
        Assert.Empty(Open());

        IEnumerable<string?> Open() => Directory.GetFiles("/proc/self/fd")
            .Select(descriptor => new FileInfo(descriptor).LinkTarget)
            .Where(target => target?.StartsWith(_temp.Path + "/", StringComparison.Ordinal) == true)
            .Select(Path.GetFileName);
    }

    [Fact]
    public async Task Shard_of_another_manifest_or_of_another_length_is_refused()
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(100)));
        await using var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest);
        await Assert.ThrowsAsync<ArgumentException>(async () => await folder.WriteShardAsync(new ShardInfo(default, 100), new byte[100], CancellationToken.None));
        await Assert.ThrowsAsync<ArgumentException>(async () => await folder.WriteShardAsync(checkpoint.Manifest.Shards[0], new byte[99], CancellationToken.None));
        Assert.Empty(folder.PlacesOf(default));
        Assert.Empty(Directory.GetFileSystemEntries(_temp.Path));
    }

    [Fact]
    public async Task Scan_reports_progress_and_can_be_cancelled()
    {
        var checkpoint = new TestCheckpoint(("a", _seeded.Bytes(5 * ShardBytes)));
        checkpoint.WriteTo(_temp.Path);
        await using var folder = CheckpointFolder.Open(_temp.Path, checkpoint.Manifest);
        var progress = new Progress();
        Assert.DoesNotContain(false, await folder.ScanAsync(progress, CancellationToken.None));
        Assert.Equal(5 * ShardBytes, progress.Largest);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => folder.ScanAsync(null, new CancellationToken(canceled: true)));
    }

    private sealed class Progress : IProgress<long>
    {
        private long _largest;

        public long Largest => Interlocked.Read(ref _largest);

        public void Report(long value) => Interlocked.Exchange(ref _largest, Math.Max(value, Largest));
    }
}
