using P2PWeights.Bench.Measuring;
using P2PWeights.Bench.Swarm;

namespace P2PWeights.Swarm.Tests;

/// <summary>
/// Small swarms of real processes in which something goes wrong. How long it takes is for <c>bench swarm --fault</c> to measure; here it counts who ends up with what.
/// One at a time: each has a processor full of nodes.
/// </summary>
public sealed class FaultTests
{
    /// <summary>Slow enough that a pull lasts for seconds, in which something can happen.</summary>
    private static readonly SwarmShape Shape = new(Nodes: 6, ShardBytes: 64 << 10, Shards: 64, Rate: 512 << 10);

    [Fact]
    public async Task Slow_nodes_finish_too_and_are_nobodys_fault()
    {
        var (result, audit, _) = await RunAsync("slow-nodes");

        Assert.Equal(Shape.Nodes - 1, result.Done.Count);
        Assert.All(result.Done, AssertWhole);
        AssertSound(audit);
    }

    [Fact]
    public async Task Killed_nodes_cost_the_others_only_what_was_on_its_way()
    {
        var (result, audit, _) = await RunAsync("killed-nodes");

        Assert.All(result.Finishes, finish => Assert.True(finish.Node.IsDead == finish.Report is null, $"{finish.Node.Name}: {finish.Failure ?? "finished although it was killed"}"));
        Assert.Contains(result.Finishes, finish => finish.Node.IsDead);
        Assert.All(result.Done, AssertWhole);
        AssertSound(audit);
    }

    /// <summary>Not when it has sent one copy's worth of bytes: the last shards are then still on their way (docs/adr/0016).</summary>
    [Fact]
    public async Task Publisher_killed_when_every_shard_has_left_it_is_not_missed()
    {
        var (result, audit, cluster) = await RunAsync("publisher-killed");

        Assert.True(cluster.Publisher.IsDead);
        Assert.InRange(result.PublisherCopies, 1, 2);
        Assert.Equal(Shape.Nodes - 1, result.Done.Count);
        Assert.All(result.Done, AssertWhole);
        AssertSound(audit);
    }

    [Fact]
    public async Task Tracker_killed_and_restarted_stops_no_pull()
    {
        var (result, audit, _) = await RunAsync("tracker-restarted");

        Assert.Equal(Shape.Nodes - 1, result.Done.Count);
        Assert.All(result.Done, AssertWhole);
        AssertSound(audit);
    }

    [Fact]
    public async Task Late_nodes_get_everything_from_those_that_came_before()
    {
        var (result, audit, cluster) = await RunAsync("late-nodes");

        var late = result.Done.Where(finish => cluster.Consumers.TakeLast(SwarmFault.Named("late-nodes").Late(cluster.Consumers.Count)).Contains(finish.Node)).ToList();
        Assert.Equal(Shape.Nodes - 1, result.Done.Count);
        Assert.All(result.Done, AssertWhole);
        Assert.All(late, finish => Assert.Contains(finish.Report!.Sources, source => source.Peer != cluster.Publisher.Node.Id && source.Bytes > 0));
        AssertSound(audit);
    }

    [Fact]
    public async Task Poisoner_is_banned_by_all_that_received_from_it_and_nothing_wrong_is_kept()
    {
        var (result, audit, cluster) = await RunAsync("poisoner");

        var poisoner = cluster.Consumers[^1];

        var banned = result.Done.Where(finish => finish.Report!.Sources.Any(source => source.Peer == poisoner.Node.Id && source.Banned is not null)).ToList();
        Assert.Equal(Shape.Nodes - 1, result.Done.Count);
        Assert.All(result.Done, AssertWhole);
        Assert.NotEmpty(banned);
        Assert.Equal(banned.Select(finish => (finish.Node.Name, poisoner.Name)).Order(), audit.Banned.Order());
        Assert.All(result.Done.SelectMany(finish => finish.Report!.Sources).Where(source => source.Peer == poisoner.Node.Id), source => Assert.Equal(0, source.Bytes));
        // Not all that asked it: who gave a fetch up before its end cannot know.
        Assert.Equal(audit.WrongBytes.Where(node => node.Value > 0).Select(node => node.Key).Order(), banned.Select(finish => finish.Node.Name).Order());
        Assert.Empty(audit.Wrong);
    }

    /// <summary>Every node that this made is gone when it returns; what it was is still told by the cluster.</summary>
    private static async Task<(SwarmResult Result, SwarmAudit Audit, SwarmCluster Cluster)> RunAsync(string name)
    {
        var fault = SwarmFault.Named(name);
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var folder = new SharedMemoryFolder($"-{name}");
        await using var cluster = await SwarmCluster.StartAsync(folder, Shape, fault.RatesOf(Shape), isMeasured: false, deadline.Token);
        var result = await fault.RunAsync(cluster, await cluster.PublishAsync("swarm@1", deadline.Token), deadline.Token);
        return (result, await SwarmAudit.OfAsync(result, deadline.Token), cluster);
    }

    private static void AssertWhole(SwarmFinish finish) => Assert.Equal(Shape.Bytes, finish.Report!.BytesFetched + finish.Report.BytesReused);

    /// <summary>Nobody was wronged, and nothing wrong lies anywhere.</summary>
    private static void AssertSound(SwarmAudit audit)
    {
        Assert.Empty(audit.Wrong);
        Assert.True(audit.Checked >= Shape.Shards, $"only {audit.Checked} replicas were hashed again");
        Assert.Empty(audit.Banned);
        Assert.All(audit.WrongBytes, node => Assert.Equal(0, node.Value));
    }
}
