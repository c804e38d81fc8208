using P2PWeights.Store.Folders;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Folders;

public sealed class CheckpointFolderDiskTests
{
    private const int ShardBytes = TestCheckpoint.ShardBytes;

    [MountFact]
    public async Task Full_disk_is_reported_with_the_bytes_needed_and_a_later_pull_resumes()
    {
        using var disk = new SmallDisk("size=768k");
        var checkpoint = new TestCheckpoint(("a", new Seeded(1).Bytes(8 * ShardBytes)), ("b", new Seeded(2).Bytes(8 * ShardBytes)));
        await using (var folder = CheckpointFolder.Open(disk["to"], checkpoint.Manifest))
        {
            await checkpoint.PullAsync(folder, Enumerable.Range(0, 8));
            var error = await Assert.ThrowsAsync<StoreException>(() => checkpoint.PullAsync(folder, [8]));
            Assert.Equal(StoreError.Full, error.Error);
            Assert.Contains($"needs {8 * ShardBytes} more bytes, {4 * ShardBytes} are free", error.Message, StringComparison.Ordinal);
            Assert.Equal(["a" + checkpoint.PartialSuffix], Directory.GetFiles(disk["to"]).Select(Path.GetFileName));

            // Room that comes during the pull is used by the same pull.
            disk.Remount("size=2m");
            await checkpoint.PullAsync(folder, [8]);
        }

        Assert.Equal(Enumerable.Range(9, 7), await checkpoint.PullAllAsync(disk["to"]));
        checkpoint.AssertIsIn(disk["to"]);
    }

    [MountFact]
    public async Task Read_only_target_is_refused_with_the_reason()
    {
        using var disk = new SmallDisk("size=1m");
        var checkpoint = new TestCheckpoint(("a", new Seeded(1).Bytes(10)));
        Directory.CreateDirectory(disk["to"]);
        disk.Remount("ro");
        var missing = Assert.Throws<StoreException>(() => CheckpointFolder.Open(disk["new"], checkpoint.Manifest));
        Assert.Equal(StoreError.NotAllowed, missing.Error);

        await using var folder = CheckpointFolder.Open(disk["to"], checkpoint.Manifest);
        var error = await Assert.ThrowsAsync<StoreException>(() => checkpoint.PullAsync(folder, [0]));
        Assert.Equal(StoreError.NotAllowed, error.Error);
        Assert.Contains("Read-only file system", error.Message, StringComparison.Ordinal);
    }

    [MountFact]
    public async Task Finished_pull_on_a_read_only_disk_verifies()
    {
        using var disk = new SmallDisk("size=1m");
        var checkpoint = new TestCheckpoint(("a", new Seeded(1).Bytes(10)));
        await checkpoint.PullAllAsync(disk["to"]);
        disk.Remount("ro");
        Assert.Empty(await checkpoint.PullAllAsync(disk["to"]));
    }
}
