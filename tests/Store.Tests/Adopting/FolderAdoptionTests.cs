using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Store.Tests.Folders;

namespace P2PWeights.Store.Tests.Adopting;

/// <summary>Shards copied from another store's files into a checkpoint's folder by the kernel.</summary>
public sealed class FolderAdoptionTests
{
    [Fact]
    public async Task Folder_filled_from_the_publisher_s_files_is_whole_and_does_not_share_them()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var repeated = fixture.Seeded.Bytes(TestCheckpoint.ShardBytes);
        var checkpoint = new TestCheckpoint(("a.bin", [.. fixture.Seeded.Bytes(200_001), .. repeated[..0]]), ("sub/b.bin", [.. repeated, .. repeated, 1, 2, 3]), ("empty", []));
        checkpoint.WriteTo(fixture["published"]);

        await using (var folder = CheckpointFolder.Open(fixture["target"], checkpoint.Manifest))
        {
            foreach (var ordinal in Enumerable.Range(0, checkpoint.Manifest.Shards.Length))
            {
                var (path, offset) = Place(checkpoint, ordinal);
                using var file = File.OpenHandle(Path.Combine(fixture["published"], path));
                Assert.True(await store.AdoptAsync(checkpoint.Manifest.Shards[ordinal], file, offset, folder, StoreFixture.Deadline));
                Assert.Equal(checkpoint.BytesOf(ordinal), await store.GetAsync(checkpoint.Manifest.Shards[ordinal].Digest));
            }

            await folder.CompleteAsync(StoreFixture.Deadline);
        }

        checkpoint.AssertIsIn(fixture["target"]);
        File.WriteAllText(Path.Combine(fixture["published"], "a.bin"), "edited");
        checkpoint.AssertIsIn(fixture["target"]);
    }

    [Fact]
    public async Task Wrong_bytes_copied_while_a_second_fetch_brings_right_ones_do_not_stay()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var checkpoint = new TestCheckpoint(("a.bin", fixture.Seeded.Bytes(TestCheckpoint.ShardBytes)));
        var shard = checkpoint.Manifest.Shards[0];
        File.WriteAllBytes(fixture["wrong"], new byte[shard.Size]);
        using var wrong = File.OpenHandle(fixture["wrong"]);
        await using var folder = CheckpointFolder.Open(fixture["target"], checkpoint.Manifest);
        var second = Task.CompletedTask;
        var waits = new TaskCompletionSource();
        FaultPoints.Watch(point =>
        {
            if (point == FaultPoint.WriteWaits)
            {
                waits.TrySetResult();
            }
            else if (point == FaultPoint.CopyBegins)
            {
                // It must wait for the copy. If it does not, the copy falls on what it has written.
                second = Task.Run(WriteAsync);
                Assert.True(SpinWait.SpinUntil(() => waits.Task.IsCompleted || second.IsCompleted, TimeSpan.FromSeconds(60)));
            }
        });

        var failure = await Assert.ThrowsAsync<StoreException>(() => store.AdoptAsync(shard, wrong, 0, folder, StoreFixture.Deadline).AsTask());
        Assert.Equal(StoreError.WrongDigest, failure.Error);
        await second;
        await folder.CompleteAsync(StoreFixture.Deadline);
        checkpoint.AssertIsIn(fixture["target"]);

        async Task WriteAsync()
        {
            using var write = await store.BeginWriteAsync(shard, folder, StoreFixture.Deadline);
            checkpoint.BytesOf(0).CopyTo(write.Buffer);
            await write.CommitAsync(StoreFixture.Deadline);
        }
    }

    [Fact]
    public async Task Wrong_bytes_do_not_count_and_right_ones_follow()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var checkpoint = new TestCheckpoint(("a.bin", fixture.Seeded.Bytes(100_000)));
        File.WriteAllBytes(fixture["wrong"], new byte[200_000]);
        await using var folder = CheckpointFolder.Open(fixture["target"], checkpoint.Manifest);
        using var wrong = File.OpenHandle(fixture["wrong"]);
        var shard = checkpoint.Manifest.Shards[0];

        var failure = await Assert.ThrowsAsync<StoreException>(() => store.AdoptAsync(shard, wrong, 0, folder, StoreFixture.Deadline).AsTask());

        Assert.Equal(StoreError.WrongDigest, failure.Error);
        Assert.False(store.Contains(shard.Digest));
        await Assert.ThrowsAsync<InvalidOperationException>(() => folder.CompleteAsync(StoreFixture.Deadline));
        for (var ordinal = 0; ordinal < checkpoint.Manifest.Shards.Length; ordinal++)
        {
            await store.PutAsync(checkpoint.Manifest.Shards[ordinal], checkpoint.BytesOf(ordinal), folder);
        }

        await folder.CompleteAsync(StoreFixture.Deadline);
        checkpoint.AssertIsIn(fixture["target"]);
    }

    [Fact]
    public async Task Wrong_bytes_that_are_copied_never_fall_on_right_ones()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var checkpoint = new TestCheckpoint(("a.bin", fixture.Seeded.Bytes(TestCheckpoint.ShardBytes * 100)));
        File.WriteAllBytes(fixture["wrong"], new byte[TestCheckpoint.ShardBytes]);
        using var wrong = File.OpenHandle(fixture["wrong"]);
        await using var folder = CheckpointFolder.Open(fixture["target"], checkpoint.Manifest);

        for (var ordinal = 0; ordinal < checkpoint.Manifest.Shards.Length; ordinal++)
        {
            var (shard, bytes) = (checkpoint.Manifest.Shards[ordinal], checkpoint.BytesOf(ordinal));
            await Task.WhenAll(
                Task.Run(TryAdoptAsync),
                Task.Run(() => store.PutAsync(shard, bytes, folder)),
                Task.Run(TryAdoptAsync));

            async Task TryAdoptAsync()
            {
                try
                {
                    await store.AdoptAsync(shard, wrong, 0, folder, StoreFixture.Deadline);
                }
                catch (StoreException failure) when (failure.Error == StoreError.WrongDigest)
                {
                }
            }
        }

        await folder.CompleteAsync(StoreFixture.Deadline);
        checkpoint.AssertIsIn(fixture["target"]);
    }

    [Fact]
    public async Task Source_that_ends_early_is_not_adopted()
    {
        await using var fixture = new StoreFixture();
        var store = await fixture.OpenAsync(memory: 0, disk: 0);
        var checkpoint = new TestCheckpoint(("a.bin", fixture.Seeded.Bytes(60_000)));
        File.WriteAllBytes(fixture["short"], checkpoint.BytesOf(0)[..50_000]);
        await using var folder = CheckpointFolder.Open(fixture["target"], checkpoint.Manifest);
        using var file = File.OpenHandle(fixture["short"]);

        Assert.False(await store.AdoptAsync(checkpoint.Manifest.Shards[0], file, 0, folder, StoreFixture.Deadline));

        Assert.False(store.Contains(checkpoint.Manifest.Shards[0].Digest));
    }

    private static (string Path, long Offset) Place(TestCheckpoint checkpoint, int ordinal)
    {
        foreach (var file in checkpoint.Manifest.Files)
        {
            var offset = 0L;
            foreach (var other in file.Shards)
            {
                if (other == ordinal)
                {
                    return (file.Path, offset);
                }

                offset += checkpoint.Manifest.Shards[other].Size;
            }
        }

        throw new InvalidOperationException($"no file has shard {ordinal}");
    }
}
