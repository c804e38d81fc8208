using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Paths.Local;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Paths.Local;

/// <summary>Peers that say of files and leases what is not so.</summary>
public sealed class LyingLenderTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Peer_that_names_a_file_which_this_node_published_costs_the_publication_nothing(bool isOnThisHost)
    {
        var published = TestCheckpoint.Create(100_000, 50_000, 200_000);
        var wanted = TestCheckpoint.Create(50_000, 70_000);
        await using var other = await TestNode.StartAsync("other");
        await using var node = await TestNode.StartAsync("node", LocalPullTests.LocalFirst);
        var path = node["weights.bin"];
        var identity = await node.ReferenceAsync(published, path);
        await using var liar = new LyingPeer(wanted, (stream, id, shard, bytes, token) => LyingPeer.SendDataAsync(stream, id, shard.Size, new byte[shard.Size], token))
        {
            Arena = isOnThisHost ? other.Store.Arena : null,
            Locate = (id, shard) => [FrameCodec.Encode(id, new LocatedFileMessage(id, 10_000, new(Tiers.Reference, path, identity, 100_000)))],
        };
        node.Meet(wanted, liar.Info);

        var pull = await Record.ExceptionAsync(() => node.PullAsync(wanted));
        var leases = new List<ShardLease?>();
        foreach (var shard in wanted.Manifest.Shards)
        {
            leases.Add(await node.Store.LeaseAsync(shard.Digest, TestNode.Deadline));
        }

        Assert.All(leases, Assert.Null);
        await node.AssertHoldsAsync(published);
        Assert.Equal(published.All.Length, node.Store.Usage.Tiers[2].Shards);

        // Of a peer on this host what it names is believed until somebody reads it; of any other it is hashed at once.
        Assert.Equal(!isOnThisHost, node.Transfer.Peers.Single(peer => peer.Peer.Id == liar.Info.Id).Banned is not null);
        Assert.Equal(isOnThisHost, pull is null);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Peer_that_says_that_it_is_working_on_a_shard_is_heard(bool adopting)
    {
        var checkpoint = TestCheckpoint.Uniform(1, 1000);
        await using var node = await TestNode.StartAsync("node");
        await using var path = new LocalPath(node.Store, TimeProvider.System, NullLogger.Instance);
        await using var slow = new LyingPeer(checkpoint, (_, _, _, _, _) => Task.CompletedTask)
        {
            Locate = (id, _) => [FrameCodec.Encode(id, FrameType.Locating), FrameCodec.Encode(id, FrameType.Locating), FrameCodec.Encode(id, FrameType.NotFound)],
        };
        await using var peer = await PeerConnection.OpenAsync(node, slow.Info);
        await using var channel = (await path.OpenAsync(peer.Session, TestNode.Deadline)).Channel!;
        var heard = new List<int>();

        FetchStatus status;
        if (adopting)
        {
            status = (await channel.AdoptAsync(checkpoint.Manifest.Shards[0], default, heard.Add, TestNode.Deadline)).Status;
        }
        else
        {
            using var write = await node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[0], null, TestNode.Deadline);
            status = (await channel.FetchAsync(write, heard.Add, TestNode.Deadline)).Status;
        }

        Assert.Equal(FetchStatus.NotFound, status);
        Assert.Equal([0, 0], heard);
    }
}
