using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Cluster;

public sealed class WhyTests
{
    [Fact]
    public async Task Finished_pull_is_explained_with_its_sources_paths_and_limit()
    {
        await using var cluster = await TestCluster.StartAsync();
        var publisher = await cluster.StartNodeAsync("publisher");
        var node = await cluster.StartNodeAsync("node");
        await publisher.PublishAsync(cluster.WriteCheckpoint(), tags: ["latest"]);
        var report = await node.PullAsync(cluster.Folder["target"], "org/model@latest");

        var why = await node.WhyAsync("org/model@latest", default);

        Assert.Equal((TestCluster.Checkpoint, PullState.Done, cluster.Folder["target"]), (why.Checkpoint, why.State, why.Folder));
        Assert.Equal(report.Manifest, why.Manifest);
        Assert.Equal((report.Transfer.BytesTotal, report.Transfer.BytesFetched), (why.Transfer!.BytesTotal, why.Transfer.BytesFetched));
        var source = Assert.Single(why.Transfer.Sources);
        Assert.Equal(("publisher", report.Transfer.BytesFetched), (source.Name, source.Paths.Sum(path => path.Bytes)));
        Assert.Equal([PullPhases.Resolving, PullPhases.Checking, PullPhases.Fetching, PullPhases.Completing], why.Phases.Select(phase => phase.Name));
        Assert.NotNull(why.Limit);
        Assert.Equal(1, why.Limit.Stages.Sum(stage => stage.Share), 3);
        Assert.Equal(why.Elapsed, (await node.WhyAsync(TestCluster.Checkpoint, default)).Elapsed);
    }

    [Fact]
    public async Task Running_pull_is_explained_as_it_stands_and_later_as_cancelled()
    {
        await using var cluster = await TestCluster.StartAsync();
        var publisher = await cluster.StartNodeAsync("publisher", uploadBytesPerSecond: 2 << 20);
        var node = await cluster.StartNodeAsync("node");
        await publisher.PublishAsync(cluster.WriteCheckpoint());
        using var cancel = new CancellationTokenSource();
        var pull = node.PullAsync(null, cancellationToken: cancel.Token);

        await cluster.UntilAsync(async () => await IsMovingAsync(node), "the running pull shows bytes of its source");
        Assert.Equal(0, (await node.WhyAsync(TestCluster.Checkpoint, default)).Transfer?.BytesWasted ?? 0);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pull);

        var why = await node.WhyAsync(TestCluster.Checkpoint, default);
        Assert.Equal((PullState.Cancelled, null), (why.State, why.Failure));
        Assert.NotNull(why.Transfer);
    }

    [Fact]
    public async Task Failed_pull_keeps_its_reason_and_one_that_was_never_asked_for_is_not_found()
    {
        await using var cluster = await TestCluster.StartAsync();
        var publisher = await cluster.StartNodeAsync("publisher");
        var node = await cluster.StartNodeAsync("node", noSourceTimeout: TimeSpan.FromSeconds(5));
        await publisher.PublishAsync(cluster.WriteCheckpoint());
        await cluster.StopAsync(publisher);
        await NodeCalls.FailsAsync(node.PullAsync(null), NodeError.NoPeers);

        var why = await node.WhyAsync(TestCluster.Checkpoint, default);

        Assert.Equal((PullState.Failed, PullTerms.Source), (why.State, why.Limit!.Term));
        Assert.Contains("missing", why.Failure, StringComparison.Ordinal);
        var unknown = await NodeCalls.FailsAsync(node.WhyAsync("org/other@v1", default), NodeError.NotFound);
        Assert.Contains(TestCluster.Checkpoint, unknown.Message, StringComparison.Ordinal);
    }

    private static async Task<bool> IsMovingAsync(PeerNode node)
    {
        try
        {
            var why = await node.WhyAsync(TestCluster.Checkpoint, default);
            return why is { State: PullState.Running, Progress.Paths.Count: > 0, Transfer.Sources.Count: > 0 };
        }
        catch (NodeException e) when (e.Error == NodeError.NotFound)
        {
            return false;
        }
    }
}
