using System.Runtime.InteropServices;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Testing;
using P2PWeights.Transfer.Pulling;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Pulls;

public sealed class PullTests
{
    [Fact]
    public async Task Pull_from_one_source_holds_every_shard_and_reports_it()
    {
        var checkpoint = TestCheckpoint.Create(1, 4095, 4096, 4097, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20);
        await using var net = await PullNet.StartAsync(checkpoint);
        var (publisher, node) = net;

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal((checkpoint.TotalBytes, checkpoint.TotalBytes, 0, 0), (report.BytesTotal, report.BytesFetched, report.BytesReused, report.BytesWasted));
        var source = Assert.Single(report.Sources);
        Assert.Equal(("publisher", "tcp", checkpoint.All.Length, checkpoint.TotalBytes, 0), (source.Name, source.MainPath(), source.Shards, source.Bytes, source.Failures));
        await publisher.ServedAsync(checkpoint.All.Length);
        Assert.Equal(checkpoint.TotalBytes, publisher.Transfer.Served.Bytes);
    }

    [Fact]
    public async Task Pull_from_a_source_that_holds_files_only_goes_by_sendfile_and_is_right()
    {
        var checkpoint = TestCheckpoint.Create(1, 4097, 1 << 20, 9 << 20);
        await using var publisher = await TestNode.StartAsync("publisher", memory: 0);
        await using var node = await TestNode.StartAsync("node");
        await publisher.HoldAsync(checkpoint);
        Assert.Equal(Tiers.Disk, publisher.Store.Locate(checkpoint.Manifest.Shards[0].Digest));
        node.Meet(checkpoint, publisher.Info);

        await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_to_a_folder_writes_the_file_and_serves_from_it()
    {
        var checkpoint = TestCheckpoint.Uniform(6, 1 << 20);
        await using var publisher = await TestNode.StartAsync("publisher");
        await using var node = await TestNode.StartAsync("node", memory: 0, disk: 0);
        await using var other = await TestNode.StartAsync("other");
        await publisher.HoldAsync(checkpoint);
        node.Meet(checkpoint, publisher.Info);
        await using (var folder = CheckpointFolder.Open(node["out"], checkpoint.Manifest))
        {
            await folder.ScanAsync(null, TestNode.Deadline);
            await node.PullAsync(checkpoint, folder);
            other.Meet(checkpoint, node.Info);
            await other.PullAsync(checkpoint);
            await folder.CompleteAsync(TestNode.Deadline);
        }

        Assert.Equal(checkpoint.Bytes.SelectMany(b => b), await File.ReadAllBytesAsync(Path.Combine(node["out"], "weights.bin")));
        await other.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_with_part_in_the_store_fetches_the_rest_only()
    {
        var checkpoint = TestCheckpoint.Uniform(10, 100_000);
        await using var net = await PullNet.StartAsync(checkpoint);
        var (publisher, node) = net;
        await node.HoldAsync(checkpoint, 1, 4, 7);
        node.Meet(checkpoint, publisher.Info);

        var report = await node.PullAsync(checkpoint);

        Assert.Equal((700_000, 300_000), (report.BytesFetched, report.BytesReused));
        await publisher.ServedAsync(7);
        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_to_a_folder_copies_what_the_store_holds()
    {
        var checkpoint = TestCheckpoint.Uniform(8, 200_000);
        await using var net = await PullNet.StartAsync(checkpoint);
        var (publisher, node) = net;
        await node.HoldAsync(checkpoint, 0, 2, 7);
        node.Meet(checkpoint, publisher.Info);
        await using (var folder = CheckpointFolder.Open(node["out"], checkpoint.Manifest))
        {
            await folder.ScanAsync(null, TestNode.Deadline);
            var report = await node.PullAsync(checkpoint, folder);
            await folder.CompleteAsync(TestNode.Deadline);
            Assert.Equal((1_000_000, 600_000), (report.BytesFetched, report.BytesReused));
        }

        Assert.Equal(checkpoint.Bytes.SelectMany(b => b), await File.ReadAllBytesAsync(Path.Combine(node["out"], "weights.bin")));
    }

    [Fact]
    public async Task Pull_from_many_sources_with_a_part_each_uses_them_all()
    {
        var checkpoint = TestCheckpoint.Uniform(30, 100_000);
        await using var a = await TestNode.StartAsync("a");
        await using var b = await TestNode.StartAsync("b");
        await using var c = await TestNode.StartAsync("c");
        await using var node = await TestNode.StartAsync("node");
        await a.HoldAsync(checkpoint, [.. Enumerable.Range(0, 10)]);
        await b.HoldAsync(checkpoint, [.. Enumerable.Range(10, 10)]);
        await c.HoldAsync(checkpoint, [.. Enumerable.Range(20, 10)]);
        node.Meet(checkpoint, a.Info, b.Info, c.Info);

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal([("a", 10), ("b", 10), ("c", 10)], report.Sources.Select(s => (s.Name, s.Shards)).Order());
    }

    [Fact]
    public async Task Shard_fetched_is_served_while_the_pull_still_runs()
    {
        // The middle node can finish only after the last one has been served: the publisher gains its second shard only then.
        var checkpoint = TestCheckpoint.Uniform(2, 300_000);
        await using var publisher = await TestNode.StartAsync("publisher");
        await using var middle = await TestNode.StartAsync("middle", TestNode.OverTcp);
        await using var last = await TestNode.StartAsync("last", TestNode.OverTcp);
        await publisher.HoldAsync(checkpoint, 0);
        middle.Meet(checkpoint, publisher.Info);
        last.Meet(checkpoint, middle.Info);

        var middlePull = middle.PullAsync(checkpoint);
        var lastPull = last.PullAsync(checkpoint);
        await Eventually.HoldsAsync(() => last.Store.Contains(checkpoint.Manifest.Shards[0].Digest), "the last node has the first shard");
        Assert.False(middlePull.IsCompleted);
        await publisher.HoldAsync(checkpoint, 1);
        await middlePull;
        await lastPull;

        await last.AssertHoldsAsync(checkpoint);
        await publisher.ServedAsync(2);
    }

    [Fact]
    public async Task Two_pulls_at_once_fetch_each_shard_once()
    {
        var checkpoint = TestCheckpoint.Uniform(40, 100_000);
        await using var net = await PullNet.StartAsync(checkpoint);
        var (publisher, node) = net;

        var reports = await Task.WhenAll(node.PullAsync(checkpoint), node.PullAsync(checkpoint), node.PullAsync(checkpoint));

        await node.AssertHoldsAsync(checkpoint);
        await publisher.ServedAsync(40);
        Assert.Equal(checkpoint.TotalBytes, reports.Sum(r => r.BytesFetched));
        Assert.All(reports, r => Assert.Equal(checkpoint.TotalBytes, r.BytesFetched + r.BytesReused));
    }

    [Fact]
    public async Task Pull_that_waits_for_another_takes_over_when_that_one_is_cancelled()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 1 << 20);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.Steady, held: [0, 1, 2]);
        var (publisher, node) = net;
        using var cancel = new CancellationTokenSource();

        var first = node.Transfer.PullAsync(new PullRequest(checkpoint.Manifest, checkpoint.All, null), null, cancel.Token);
        await Eventually.HoldsAsync(() => node.Store.Contains(checkpoint.Manifest.Shards[0].Digest) || publisher.Transfer.Served.Shards > 0, "the first pull is under way");
        var second = node.PullAsync(checkpoint);
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        await publisher.HoldAsync(checkpoint, 3);
        await second;
        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_to_a_folder_fetches_what_the_store_holds_only_wrongly()
    {
        var checkpoint = TestCheckpoint.Uniform(3, 100_000);
        await using var net = await PullNet.StartAsync(checkpoint);
        var (publisher, node) = net;
        await node.HoldAsync(checkpoint);
        using (var lease = await node.Store.LeaseAsync(checkpoint.Manifest.Shards[1].Digest, TestNode.Deadline))
        {
            MemoryMarshal.AsMemory(lease!.Value.Memory).Span[17] ^= 1;
        }

        node.Meet(checkpoint, publisher.Info);
        await using (var folder = CheckpointFolder.Open(node["out"], checkpoint.Manifest))
        {
            await folder.ScanAsync(null, TestNode.Deadline);
            var report = await node.PullAsync(checkpoint, folder);
            await folder.CompleteAsync(TestNode.Deadline);
            Assert.Equal((100_000, 200_000), (report.BytesFetched, report.BytesReused));
        }

        Assert.Equal(checkpoint.Bytes.SelectMany(b => b), await File.ReadAllBytesAsync(Path.Combine(node["out"], "weights.bin")));
    }

    [Fact]
    public async Task Neighbour_that_comes_later_is_used_by_a_running_pull()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 50_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.OverTcp);
        var (publisher, node) = net;

        var pull = node.PullAsync(checkpoint);
        Assert.False(pull.IsCompleted);
        node.Meet(checkpoint, publisher.Info);
        await pull;

        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Only_holder_is_taken_up_although_sessions_with_as_many_as_allowed_are_up()
    {
        var checkpoint = TestCheckpoint.Uniform(2, 50_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.OverTcp);
        var (publisher, node) = net;
        node.Meet(checkpoint);
        var useless = await Task.WhenAll(Enumerable.Range(0, PullSources.MaxSources).Select(i => TestNode.StartAsync($"useless-{i}", TestNode.OverTcp, memory: 1 << 20)));
        try
        {
            Array.ForEach(useless, other => other.Transfer.Join(checkpoint.Manifest));
            node.Meet(checkpoint, [.. useless.Select(other => other.Info)]);
            var pull = node.PullAsync(checkpoint);
            await Eventually.HoldsAsync(() => node.Transfer.Peers.Count(peer => peer.Connected) == useless.Length, "sessions with all of them");

            node.Meet(checkpoint, publisher.Info);
            await pull;
        }
        finally
        {
            await Task.WhenAll(useless.Select(other => other.DisposeAsync().AsTask()));
        }

        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Puller_that_a_stranger_subscribes_to_asks_for_its_neighbours()
    {
        // The first node knows nobody; that the second calls it is all it can go by.
        var checkpoint = TestCheckpoint.Uniform(3, 50_000);
        await using var first = await TestNode.StartAsync("first", TestNode.OverTcp);
        await using var second = await TestNode.StartAsync("second", TestNode.OverTcp);
        await second.HoldAsync(checkpoint, 0, 2);
        await first.HoldAsync(checkpoint, 1);
        var asked = 0;
        first.Transfer.NeighboursWanted += manifest =>
        {
            Assert.Equal(checkpoint.Manifest.Digest, manifest);
            Interlocked.Increment(ref asked);
            first.Meet(checkpoint, second.Info);
        };

        var pull = first.PullAsync(checkpoint);
        second.Meet(checkpoint, first.Info);
        await second.PullAsync(checkpoint);
        await pull;

        await first.AssertHoldsAsync(checkpoint);
        await second.AssertHoldsAsync(checkpoint);
        Assert.True(asked > 0);
    }

    [Fact]
    public async Task Progress_of_a_pull_ends_at_the_whole()
    {
        var checkpoint = TestCheckpoint.Uniform(5, 50_000);
        await using var net = await PullNet.StartAsync(checkpoint);
        var (_, node) = net;
        var seen = new Recorder();

        await node.PullAsync(checkpoint, progress: seen);

        Assert.Equal(new PullProgress(250_000, 250_000, 250_000, 5, 5, 0), seen.Last! with { Paths = null });
        Assert.Equal([new PathBytes("tcp", 250_000)], seen.Last.Paths!);
    }

    [Fact]
    public async Task Pull_into_tiers_without_room_fails_as_full_and_keeps_what_came()
    {
        var checkpoint = TestCheckpoint.Uniform(40, 1 << 20);
        await using var publisher = await TestNode.StartAsync("publisher");
        await using var node = await TestNode.StartAsync("node", memory: 16 << 20, disk: 0);
        await publisher.HoldAsync(checkpoint);
        node.Meet(checkpoint, publisher.Info);

        var failure = await Assert.ThrowsAsync<StoreException>(() => node.PullAsync(checkpoint));

        Assert.Equal(StoreError.Full, failure.Error);
        Assert.Contains(checkpoint.Manifest.Shards, s => node.Store.Contains(s.Digest));
    }

    [Fact]
    public async Task Pull_that_is_cancelled_ends_and_keeps_what_came()
    {
        var checkpoint = TestCheckpoint.Uniform(3, 50_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.OverTcp, held: [0, 1]);
        var (publisher, node) = net;
        using var cancel = new CancellationTokenSource();

        var pull = node.Transfer.PullAsync(new PullRequest(checkpoint.Manifest, checkpoint.All, null), null, cancel.Token);
        await Eventually.HoldsAsync(() => node.Store.Contains(checkpoint.Manifest.Shards[1].Digest) && node.Store.Contains(checkpoint.Manifest.Shards[0].Digest), "two shards are here");
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pull);
        await publisher.HoldAsync(checkpoint, 2);
        var report = await node.PullAsync(checkpoint);
        Assert.Equal((50_000, 100_000), (report.BytesFetched, report.BytesReused));
    }

    [Fact]
    public async Task Source_is_unsubscribed_from_when_the_last_pull_of_a_swarm_ends_and_others_go_on()
    {
        var (one, other, third) = (TestCheckpoint.Uniform(2, 1000), TestCheckpoint.Uniform(3, 1000), TestCheckpoint.Uniform(4, 1000));
        await using var peer = new LyingPeer(one, (_, _, _, _, _) => Task.CompletedTask);
        await using var node = await TestNode.StartAsync("node", new TransferOptions { Paths = [PathNames.Tcp], StallTimeout = TimeSpan.FromSeconds(60) });
        using var rest = new CancellationTokenSource();
        var first = Begin(one, 0);
        await Eventually.HoldsAsync(() => peer.Fetches == 1, "the first pull has asked for its shard");
        var second = Begin(one, 1);
        await Eventually.HoldsAsync(() => peer.Fetches == 2, "the second pull has asked for its shard");
        var others = Begin(other, 0).Pull;
        await Eventually.HoldsAsync(() => peer.Asked.Contains(Subscribed(other)), "the pull of another swarm has subscribed");

        await EndAsync(first);
        others = Task.WhenAll(others, Begin(third, 0).Pull);
        await Eventually.HoldsAsync(() => peer.Asked.Contains(Subscribed(third)), "the pull of a third swarm has subscribed");
        Assert.Equal([Subscribed(one), Subscribed(other), Subscribed(third)], peer.Asked);
        await EndAsync(second);
        await Eventually.HoldsAsync(() => peer.Asked.Contains((FrameType.Unsubscribe, one.Manifest.Digest)), "the peer is told that nobody follows the swarm");
        Assert.False(others.IsCompleted);

        await rest.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => others);

        (Task Pull, CancellationTokenSource Cancel) Begin(TestCheckpoint checkpoint, int ordinal)
        {
            node.Meet(checkpoint, peer.Info);
            var cancel = CancellationTokenSource.CreateLinkedTokenSource(rest.Token);
            return (node.Transfer.PullAsync(new PullRequest(checkpoint.Manifest, [ordinal], null), null, cancel.Token), cancel);
        }

        async Task EndAsync((Task Pull, CancellationTokenSource Cancel) begun)
        {
            await begun.Cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => begun.Pull);
        }

        static (FrameType Type, Digest Manifest) Subscribed(TestCheckpoint checkpoint) => (FrameType.Subscribe, checkpoint.Manifest.Digest);
    }

    private sealed class Recorder : IProgress<PullProgress>
    {
        public PullProgress? Last { get; private set; }

        public void Report(PullProgress value) => Last = value;
    }
}
