using P2PWeights.Store;
using P2PWeights.Store.Folders;
using P2PWeights.Testing;

namespace P2PWeights.Transfer.Tests.Paths.Local;

/// <summary>The source is a process of its own, and is killed.</summary>
public sealed class KilledSourceTests
{
    [Fact]
    public async Task Shards_borrowed_from_a_killed_source_are_copied_and_right()
    {
        using var folder = new TempFolder();
        var checkpoint = TestCheckpoint.Seed(new Seeded(), SourceProcess.Shards, SourceProcess.ShardBytes);
        await using var node = await TestNode.StartAsync("node", LocalPullTests.LocalFirst);
        var lost = 0;
        using (var source = await SourceProcess.StartAsync(folder, checkpoint.Seeded.Seed))
        {
            node.Meet(checkpoint, source.Info);
            var report = await node.PullAsync(checkpoint);
            Assert.Equal(PathNames.Local, Assert.Single(report.Sources).MainPath());
            node.Store.Changed += change => lost += change.Gained ? 0 : 1;
            await source.KillAsync();
        }

        // Readers while it is copied: each gets the right bytes.
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => Task.Run(() => node.AssertHoldsAsync(checkpoint))));
        await Eventually.HoldsAsync(
            () => checkpoint.Manifest.Shards.All(shard => node.Store.Locate(shard.Digest) == Tiers.Memory), $"the borrowed shards were copied; {checkpoint.Seeded}");
        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal(0, lost);
    }

    [Fact]
    public async Task Source_killed_during_a_pull_into_a_folder_costs_a_retry()
    {
        using var folder = new TempFolder();
        var checkpoint = TestCheckpoint.Seed(new Seeded(), SourceProcess.Shards, SourceProcess.ShardBytes);
        await using var node = await TestNode.StartAsync("node", LocalPullTests.LocalFirst);
        await using var other = await TestNode.StartAsync("other", LocalPullTests.LocalFirst);
        await other.HoldAsync(checkpoint);
        using var source = await SourceProcess.StartAsync(folder, checkpoint.Seeded.Seed);
        node.Meet(checkpoint, source.Info);
        var killed = 0;
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        node.Store.Changed += _ =>
        {
            if (Interlocked.Increment(ref killed) == 3)
            {
                began.TrySetResult();
            }
        };
        await using var target = CheckpointFolder.Open(node["out"], checkpoint.Manifest);

        var pull = node.PullAsync(checkpoint, target);
        await began.Task.WaitAsync(TestNode.Deadline);
        await source.KillAsync();
        node.Meet(checkpoint, other.Info);
        await pull;

        await target.CompleteAsync(TestNode.Deadline);
        Assert.True(
            checkpoint.Bytes.SelectMany(bytes => bytes).SequenceEqual(await File.ReadAllBytesAsync(Path.Combine(node["out"], "weights.bin"))), checkpoint.Seeded.ToString());
    }
}
