using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Serving;

/// <summary>What a node tells those who subscribe to a swarm, and what they make of it.</summary>
public sealed class SubscriptionTests
{
    [Fact]
    public async Task Subscriber_is_told_what_is_held_gained_lost_and_joined_later()
    {
        var checkpoint = TestCheckpoint.Uniform(9, 1000);
        await using var publisher = await TestNode.StartAsync("publisher");
        await using var watch = new ConnectionWatch(TimeProvider.System);
        var dialler = new Dialler(new Identity(Guid.NewGuid(), "reader", null), watch, TimeProvider.System);
        await using var session = await PeerSession.OpenAsync(publisher.Info, dialler, TimeProvider.System, TestNode.Deadline);
        var remote = session.Subscribe(checkpoint.Manifest.Digest, new ShardBitmap(9));

        await publisher.HoldAsync(checkpoint, 2);
        await Eventually.HoldsAsync(() => remote.Held()[2], "the swarm joined after the subscription is told");
        await publisher.HoldAsync(checkpoint, 8);
        await Eventually.HoldsAsync(() => remote.Held()[8], "a gained shard is told");
        await publisher.Store.EvictAsync(checkpoint.Manifest.Shards[2].Digest, Tiers.Memory | Tiers.Disk, TestNode.Deadline);
        await Eventually.HoldsAsync(() => !remote.Held()[2] && remote.Held()[8], "a lost shard is told");
    }

    [Fact]
    public async Task What_is_told_of_a_swarm_after_its_subscription_ended_is_passed_over()
    {
        var (former, next) = (TestCheckpoint.Uniform(2, 1000), TestCheckpoint.Uniform(3, 1000));
        await using var peer = new LyingPeer(former, (_, _, _, _, _) => Task.CompletedTask);
        await using var watch = new ConnectionWatch(TimeProvider.System);
        var dialler = new Dialler(new Identity(Guid.NewGuid(), "reader", null), watch, TimeProvider.System);
        await using var session = await PeerSession.OpenAsync(peer.Info, dialler, TimeProvider.System, TestNode.Deadline);
        var ended = session.Subscribe(former.Manifest.Digest, new ShardBitmap(2));
        await Eventually.HoldsAsync(() => ended.HasTold, "the first swarm is told");

        session.Unsubscribe(ended);
        var remote = session.Subscribe(next.Manifest.Digest, new ShardBitmap(3));
        await Eventually.HoldsAsync(() => peer.Asked.Count == 3, "the peer has told of the former swarm once more");
        await peer.AnnounceAsync(next, TestNode.Deadline);

        await Eventually.HoldsAsync(() => remote.HasTold || session.Closed.IsCompleted, "the second swarm is told");
        Assert.False(session.Closed.IsCompleted);
    }

    [Fact]
    public async Task Caller_at_the_limit_of_subscriptions_may_renew_one_and_add_none()
    {
        await using var publisher = await TestNode.StartAsync("publisher");
        await using var watch = new ConnectionWatch(TimeProvider.System);
        var dialler = new Dialler(new Identity(Guid.NewGuid(), "reader", null), watch, TimeProvider.System);
        using var lane = await dialler.OpenAsync(publisher.Info, LaneKind.Control, TestNode.Deadline);
        var manifests = Enumerable.Range(0, WireLimits.MaxSubscriptions + 1).Select(i => Blake3.Hash(BitConverter.GetBytes(i))).ToList();
        var told = new HashSet<Digest>();
        foreach (var manifest in manifests[..^1])
        {
            await SubscribeAsync(manifest);
            told.Add(await ReadAsync());
        }

        Assert.Equal(WireLimits.MaxSubscriptions, told.Count);
        await SubscribeAsync(manifests[0]);
        Assert.Equal(manifests[0], await ReadAsync());
        await SubscribeAsync(manifests[^1]);
        await Assert.ThrowsAsync<IOException>(ReadAsync);

        async Task SubscribeAsync(Digest manifest) =>
            await lane.Connection.SendAsync(FrameCodec.Encode(0, new SubscribeMessage(manifest, ShardBitmap.Empty)), TestNode.Deadline);

        async Task<Digest> ReadAsync()
        {
            var header = await lane.Connection.ReadHeaderAsync(TestNode.Deadline);
            return FrameCodec.Decode<BitmapMessage>(await lane.Connection.ReadControlAsync(header, TestNode.Deadline)).Manifest;
        }
    }

    [Fact]
    public async Task Subscribers_of_a_publisher_are_told_of_different_shards_and_of_all_when_it_stands_idle()
    {
        const int Shards = 200;
        var checkpoint = TestCheckpoint.Uniform(Shards, 1000);
        var time = new VirtualTime();
        var began = time.GetTimestamp();
        await using var publisher = await TestNode.StartAsync("publisher", time: time);
        publisher.Transfer.JoinAsPublisher(checkpoint.Manifest);
        await publisher.HoldAsync(checkpoint);
        await using var watch = new ConnectionWatch(TimeProvider.System);
        await using var one = await SubscribeAsync("one");
        var first = one.Subscribe(checkpoint.Manifest.Digest, new ShardBitmap(Shards));
        await Eventually.HoldsAsync(() => first.HasTold, "the first subscriber is told");
        Assert.Equal((true, Shards), (first.IsPublisher, first.Held().Count()));

        await using var two = await SubscribeAsync("two");
        var second = two.Subscribe(checkpoint.Manifest.Digest, new ShardBitmap(Shards));
        await Eventually.HoldsAsync(() => Pass(1, 900) && second.HasTold && first.Held().Count() < Shards, "what was told is taken back when there are two");
        Assert.Equal(0, first.Held().And(second.Held()).Count());
        await Eventually.HoldsAsync(() => Pass(50, 3000) && first.Held().Count() == Shards && second.Held().Count() == Shards, "a publisher of whom nobody fetches tells everything");

        // The publisher's time is the test's: it stands idle after a second of it, and cuts lanes that say nothing after a minute.
        bool Pass(int milliseconds, int most)
        {
            if (time.GetElapsedTime(began) < TimeSpan.FromMilliseconds(most))
            {
                time.Advance(TimeSpan.FromMilliseconds(milliseconds));
            }

            return true;
        }

        Task<PeerSession> SubscribeAsync(string name) =>
            PeerSession.OpenAsync(publisher.Info, new Dialler(new Identity(Guid.NewGuid(), name, null), watch, TimeProvider.System), TimeProvider.System, TestNode.Deadline);
    }
}
