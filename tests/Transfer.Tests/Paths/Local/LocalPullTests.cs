using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Folders;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Tests.Paths.Local;

/// <summary>Whole pulls from nodes of the same host.</summary>
public sealed class LocalPullTests
{
    public static TransferOptions LocalFirst => new() { Paths = [PathNames.Local, PathNames.Tcp], StallTimeout = TimeSpan.FromSeconds(5), NoSourceTimeout = TimeSpan.FromSeconds(5) };

    [Theory]
    [InlineData(Tiers.Memory, Tiers.Reference)]
    [InlineData(Tiers.Disk, Tiers.Disk)]
    [InlineData(Tiers.Reference, Tiers.Reference)]
    public async Task Pull_into_the_tiers_copies_nothing_and_sends_nothing(Tiers held, Tiers taken)
    {
        var checkpoint = TestCheckpoint.Create(1, 4097, 1 << 20, 9 << 20);
        await using var publisher = await StartAsync(checkpoint, held);
        await using var node = await TestNode.StartAsync("node", LocalFirst);
        node.Meet(checkpoint, publisher.Info);

        var report = await node.PullAsync(checkpoint);

        AssertLocal(report, checkpoint, publisher);
        Assert.All(checkpoint.Manifest.Shards, shard => Assert.Equal(taken, node.Store.Locate(shard.Digest)));
        Assert.Equal(0, node.Store.Usage.Tiers[0].Bytes);
        await node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Pull_from_a_full_memory_tier_borrows_what_may_be_kept_and_copies_the_rest()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 16 << 20);
        await using var publisher = await StartAsync(checkpoint, Tiers.Memory);
        await using var node = await TestNode.StartAsync("node", LocalFirst);
        node.Meet(checkpoint, publisher.Info);

        AssertLocal(await node.PullAsync(checkpoint), checkpoint, publisher);

        var taken = checkpoint.Manifest.Shards.Select(shard => node.Store.Locate(shard.Digest)).ToList();
        Assert.Equal((3, 1), (taken.Count(tier => tier == Tiers.Reference), taken.Count(tier => tier == Tiers.Memory)));
        await node.AssertHoldsAsync(checkpoint);
    }

    [Theory]
    [InlineData(Tiers.Memory)]
    [InlineData(Tiers.Disk)]
    [InlineData(Tiers.Reference)]
    public async Task Pull_to_a_folder_sends_nothing_and_shares_no_file(Tiers held)
    {
        var checkpoint = TestCheckpoint.Create(4097, 1 << 20, 9 << 20, 5);
        await using var publisher = await StartAsync(checkpoint, held);
        await using var node = await TestNode.StartAsync("node", LocalFirst, memory: 0, disk: 0);
        node.Meet(checkpoint, publisher.Info);

        await using (var folder = CheckpointFolder.Open(node["out"], checkpoint.Manifest))
        {
            AssertLocal(await node.PullAsync(checkpoint, folder), checkpoint, publisher);
            await folder.CompleteAsync(TestNode.Deadline);
        }

        // Somebody goes on working with what was published.
        var whole = checkpoint.Bytes.SelectMany(bytes => bytes).ToArray();
        foreach (var file in Directory.EnumerateFiles(publisher["data"], "*", SearchOption.AllDirectories).Append(publisher["weights.bin"]).Where(File.Exists))
        {
            if (new FileInfo(file).Length >= checkpoint.Bytes[0].Length && (held == Tiers.Reference) == (file == publisher["weights.bin"]))
            {
                using var edited = File.OpenHandle(file, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
                RandomAccess.Write(edited, new byte[4096], 0);
            }
        }

        Assert.True(((IEnumerable<byte>)whole).SequenceEqual(await File.ReadAllBytesAsync(Path.Combine(node["out"], "weights.bin"))), checkpoint.Seeded.ToString());
    }

    [Fact]
    public async Task Shards_borrowed_from_one_node_are_given_to_a_third()
    {
        var checkpoint = TestCheckpoint.Uniform(5, 1 << 20);
        await using var publisher = await StartAsync(checkpoint, Tiers.Memory);
        await using var second = await TestNode.StartAsync("second", LocalFirst);
        await using var third = await TestNode.StartAsync("third", LocalFirst);
        await using var remote = await TestNode.StartAsync("remote", TestNode.OverTcp);
        second.Meet(checkpoint, publisher.Info);
        third.Meet(checkpoint, second.Info);
        remote.Meet(checkpoint, second.Info);

        await second.PullAsync(checkpoint);
        await remote.PullAsync(checkpoint);
        AssertLocal(await third.PullAsync(checkpoint), checkpoint, publisher);

        await third.AssertHoldsAsync(checkpoint);
        await remote.AssertHoldsAsync(checkpoint);
        await second.ServedAsync(checkpoint.All.Length);
        Assert.Equal(checkpoint.TotalBytes, second.Transfer.Served.Bytes);
    }

    [Fact]
    public async Task Many_nodes_of_a_host_pull_at_once_and_read_at_once()
    {
        var checkpoint = TestCheckpoint.Uniform(12, 300_000);
        await using var publisher = await StartAsync(checkpoint, Tiers.Memory);
        var nodes = await Task.WhenAll(Enumerable.Range(0, 4).Select(i => TestNode.StartAsync($"node {i}", LocalFirst)));
        try
        {
            foreach (var node in nodes)
            {
                node.Meet(checkpoint, [publisher.Info, .. nodes.Where(other => other != node).Select(other => other.Info)]);
            }

            await Task.WhenAll(nodes.Select(node => node.PullAsync(checkpoint)));
            await Task.WhenAll(nodes.SelectMany(node => Enumerable.Repeat(node, 3)).Select(node => Task.Run(() => node.AssertHoldsAsync(checkpoint))));
        }
        finally
        {
            foreach (var node in nodes)
            {
                await node.DisposeAsync();
            }
        }
    }

    [Fact]
    public async Task Source_that_stops_leaves_everything_to_its_borrower()
    {
        var checkpoint = TestCheckpoint.Uniform(8, 1 << 20);
        await using var node = await TestNode.StartAsync("node", LocalFirst);
        var lost = 0;
        await using (var publisher = await StartAsync(checkpoint, Tiers.Memory))
        {
            node.Meet(checkpoint, publisher.Info);
            await node.PullAsync(checkpoint);
            await node.AssertHoldsAsync(checkpoint);
            node.Store.Changed += change => lost += change.Gained ? 0 : 1;
        }

        await Eventually.HoldsAsync(() => checkpoint.Manifest.Shards.All(shard => node.Store.Locate(shard.Digest) == Tiers.Memory), "the borrowed shards were copied");
        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal(0, lost);
    }

    [Fact]
    public async Task Memory_lent_to_a_peer_comes_back_when_its_owner_needs_it()
    {
        var lent = TestCheckpoint.Uniform(6, 8 << 20);
        var own = TestCheckpoint.Uniform(5, 8 << 20);
        await using var other = await TestNode.StartAsync("other", TestNode.OverTcp);
        await other.HoldAsync(own);
        await using var owner = await StartAsync(lent, Tiers.Memory);
        await using var borrower = await TestNode.StartAsync("borrower", LocalFirst);
        borrower.Meet(lent, owner.Info);
        await borrower.PullAsync(lent);
        Assert.All(lent.Manifest.Shards, shard => Assert.Equal(Tiers.Reference, borrower.Store.Locate(shard.Digest)));
        var lost = 0;
        borrower.Store.Changed += change => lost += change.Gained ? 0 : 1;

        // Room for two, no disk tier, and nothing that may go: what is lent must come back.
        owner.Meet(own, other.Info);
        await owner.PullAsync(own);

        await owner.AssertHoldsAsync(own);
        await borrower.AssertHoldsAsync(lent);
        Assert.Equal(0, lost);
    }

    [Fact]
    public async Task Peer_that_has_no_more_leases_to_give_is_pulled_from_over_tcp()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 100_000);
        await using var publisher = await TestNode.StartAsync(
            "publisher", new TransferOptions { Paths = [PathNames.Local, PathNames.Tcp], MaxFileLeases = 1 }, memory: 0);
        await publisher.HoldAsync(checkpoint);
        await using var node = await TestNode.StartAsync("node", LocalFirst);
        node.Meet(checkpoint, publisher.Info);
        await using var watch = new ConnectionWatch(TimeProvider.System);
        await using var session = await PeerSession.OpenAsync(
            publisher.Info, new Dialler(new Identity(Guid.NewGuid(), "another", null), watch, TimeProvider.System), TimeProvider.System, TestNode.Deadline);
        using var lease = (await (await session.LeasesAsync(TestNode.Deadline)).LocateAsync(checkpoint.Manifest.Shards[0], LeaseKind.File, TestNode.Deadline)).Lease;
        Assert.NotNull(lease);

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal(checkpoint.All.Length, report.Paths().Single(path => path.Path == PathNames.Tcp).Shards);
        Assert.True(report.Paths().Single(path => path.Path == PathNames.Local).Failures.ContainsKey(FailureReasons.Refused));
    }

    [Fact]
    public async Task Source_on_another_host_is_pulled_from_over_tcp()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 100_000);
        await using var publisher = await StartAsync(checkpoint, Tiers.Memory);
        await using var node = await TestNode.StartAsync("node", LocalFirst);
        node.Meet(checkpoint, publisher.Info);
        File.Delete(publisher.Store.Arena!.Path);

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        await publisher.ServedAsync(checkpoint.All.Length);
        Assert.Equal(checkpoint.TotalBytes, publisher.Transfer.Served.Bytes);
        Assert.Equal(PathNames.Tcp, Assert.Single(report.Sources).MainPath());
        Assert.True(report.Paths().Single(path => path.Path == PathNames.Local).Failures.ContainsKey(FailureReasons.Unreachable));
    }

    [Fact]
    public async Task Peer_that_lends_counts_as_connected_after_the_pull_until_it_goes()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 100_000);
        await using var publisher = await StartAsync(checkpoint, Tiers.Memory);
        await using var node = await TestNode.StartAsync("node", LocalFirst);
        node.Meet(checkpoint, publisher.Info);
        await node.PullAsync(checkpoint);

        var peer = Assert.Single(node.Transfer.Peers);
        Assert.Equal((true, PathNames.Local), (peer.Connected, peer.Path));
        await publisher.StopServingAsync();
        await Eventually.HoldsAsync(() => node.Transfer.Peers is [{ Connected: false, Path: null }], "the peer is gone");
    }

    [Fact]
    public async Task Node_that_borrowed_gives_everything_back_when_it_stops()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 100_000);
        await using var publisher = await StartAsync(checkpoint, Tiers.Memory);
        await using (var node = await TestNode.StartAsync("node", LocalFirst))
        {
            node.Meet(checkpoint, publisher.Info);
            await node.PullAsync(checkpoint);
            Assert.Equal(4, publisher.Store.Usage.Leases);
        }

        await Eventually.HoldsAsync(() => publisher.Store.Usage.Leases == 0, "the leases ran out");
    }

    private static void AssertLocal(PullReport report, TestCheckpoint checkpoint, TestNode publisher)
    {
        Assert.Equal((0, 0), publisher.Transfer.Served);
        Assert.Equal((checkpoint.TotalBytes, 0, 0), (report.BytesFetched, report.BytesReused, report.BytesWasted));
        var path = Assert.Single(report.Paths(), path => path.Shards > 0);
        Assert.Equal((PathNames.Local, checkpoint.All.Length, checkpoint.TotalBytes), (path.Path, path.Shards, path.Bytes));
        Assert.Empty(path.Failures);
    }

    /// <summary>A node that holds the checkpoint in one tier.</summary>
    private static async Task<TestNode> StartAsync(TestCheckpoint checkpoint, Tiers held)
    {
        var node = await TestNode.StartAsync("publisher", LocalFirst, memory: held == Tiers.Memory ? 64 << 20 : 0, disk: held == Tiers.Disk ? 1L << 30 : 0);
        if (held != Tiers.Reference)
        {
            await node.HoldAsync(checkpoint);
            return node;
        }

        await node.ReferenceAsync(checkpoint, node["weights.bin"]);
        return node;
    }
}
