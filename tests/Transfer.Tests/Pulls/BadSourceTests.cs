using System.Net.Sockets;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Pulls;

public sealed class BadSourceTests
{
    private static TransferOptions Patient => new() { Paths = [PathNames.Tcp], StallTimeout = TestNode.Fast.StallTimeout, NoSourceTimeout = TimeSpan.FromSeconds(30) };

    [Fact]
    public async Task Source_of_wrong_bytes_among_three_is_banned_and_the_result_is_right()
    {
        var checkpoint = TestCheckpoint.Uniform(30, 100_000);
        await using var a = await TestNode.StartAsync("a");
        await using var b = await TestNode.StartAsync("b");
        await using var node = await TestNode.StartAsync("node", Patient);
        await using var liar = new LyingPeer(checkpoint, SendWrongAsync);
        int[] allButLast = [.. checkpoint.All.SkipLast(1)];
        await a.HoldAsync(checkpoint, allButLast);
        await b.HoldAsync(checkpoint, allButLast);
        node.Meet(checkpoint, liar.Info, a.Info, b.Info);

        // Nobody but the liar has the last shard until it is found out, so that the pull cannot end without asking it.
        var pull = node.PullAsync(checkpoint);
        await BannedAsync(node, liar);
        await a.HoldAsync(checkpoint, checkpoint.All.Last());
        var report = await pull;

        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal(checkpoint.TotalBytes, report.BytesFetched);
        Assert.True(liar.Fetches > 0);
        Assert.True(report.BytesWasted >= 100_000, $"{report.BytesWasted} bytes wasted");
        var source = Assert.Single(report.Sources, s => s.Name == "liar");
        Assert.Equal((0, 0L), (source.Shards, source.Bytes));
        Assert.Contains("hash", source.Banned, StringComparison.Ordinal);
        var status = Assert.Single(node.Transfer.Peers, p => p.Peer.Id == liar.Info.Id);
        Assert.NotNull(status.Banned);
        Assert.True(status.BannedUntil > DateTimeOffset.UtcNow);
    }

    [Fact]
    public async Task Banned_peer_is_not_asked_by_the_next_pull()
    {
        var first = TestCheckpoint.Uniform(1, 1000);
        await using var node = await TestNode.StartAsync("node", TestNode.Hopeless);
        await using var liar = new LyingPeer(first, SendWrongAsync);
        node.Meet(first, liar.Info);
        var failure = await Assert.ThrowsAsync<TransferException>(() => node.PullAsync(first));
        Assert.Contains("banned", failure.Message, StringComparison.Ordinal);
        Assert.False(node.Store.Contains(first.Manifest.Shards[0].Digest));
        var asked = liar.Fetches;

        await Assert.ThrowsAsync<TransferException>(() => node.PullAsync(first));

        Assert.Equal(asked, liar.Fetches);
    }

    public static TheoryData<string> Violations => [.. Lies.Keys];

    [Theory]
    [MemberData(nameof(Violations))]
    public async Task Source_that_breaks_the_protocol_is_banned_and_others_finish(string lie)
    {
        var checkpoint = TestCheckpoint.Uniform(12, 100_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: Patient, held: [0], publisher: "honest");
        var (honest, node) = net;
        await using var liar = new LyingPeer(checkpoint, Lies[lie]);
        node.Meet(checkpoint, liar.Info, honest.Info);

        // The honest source holds one shard until the liar is found out, so that the pull cannot end without asking the liar.
        var pull = node.PullAsync(checkpoint);
        await BannedAsync(node, liar);
        await honest.HoldAsync(checkpoint);
        var report = await pull;

        await node.AssertHoldsAsync(checkpoint);
        Assert.Contains("protocol", Assert.Single(report.Sources, s => s.Name == "liar").Banned, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Source_that_closes_in_the_middle_of_a_shard_is_left_and_not_banned()
    {
        var checkpoint = TestCheckpoint.Uniform(12, 100_000);
        await using var net = await PullNet.StartAsync(checkpoint, publisher: "honest");
        var (honest, node) = net;
        await using var liar = new LyingPeer(checkpoint, async (stream, id, shard, bytes, token) =>
        {
            await LyingPeer.SendDataAsync(stream, id, shard.Size, bytes.AsMemory(0, shard.Size / 2), token);
            stream.Socket.Shutdown(SocketShutdown.Both);
        });
        node.Meet(checkpoint, liar.Info, honest.Info);

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        Assert.All(report.Sources, s => Assert.Null(s.Banned));
    }

    [Fact]
    public async Task Source_killed_during_the_pull_costs_only_what_was_in_flight()
    {
        var checkpoint = TestCheckpoint.Uniform(40, 200_000);
        await using var a = await TestNode.StartAsync("a", new TransferOptions { UploadBytesPerSecond = 4 << 20 });
        await using var b = await TestNode.StartAsync("b", new TransferOptions { UploadBytesPerSecond = 8 << 20 });
        await using var node = await TestNode.StartAsync("node");
        await a.HoldAsync(checkpoint);
        await b.HoldAsync(checkpoint);
        node.Meet(checkpoint, a.Info, b.Info);

        var pull = node.PullAsync(checkpoint);
        await Eventually.HoldsAsync(() => a.Transfer.Served.Shards > 0, "a served a shard");
        await a.StopServingAsync();
        var report = await pull;

        await node.AssertHoldsAsync(checkpoint);
        Assert.Equal(checkpoint.TotalBytes, report.BytesFetched);
        Assert.Equal(2, report.Sources.Count);
    }

    [Fact]
    public async Task All_sources_gone_ends_as_no_sources_and_keeps_what_was_fetched()
    {
        var checkpoint = TestCheckpoint.Uniform(5, 60_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.Hopeless, held: [0, 3]);
        var (publisher, node) = net;

        var pull = node.PullAsync(checkpoint);
        await Eventually.HoldsAsync(() => node.Store.Contains(checkpoint.Manifest.Shards[0].Digest) && node.Store.Contains(checkpoint.Manifest.Shards[3].Digest), "two shards have arrived");
        await publisher.StopServingAsync();
        var failure = await Assert.ThrowsAsync<TransferException>(() => pull);

        Assert.Equal(TransferError.NoSources, failure.Error);
        Assert.Contains("3 shards (180000 bytes)", failure.Message, StringComparison.Ordinal);
        Assert.Contains("publisher", failure.Message, StringComparison.Ordinal);
        Assert.Equal([0, 3], checkpoint.All.Where(o => node.Store.Contains(checkpoint.Manifest.Shards[o].Digest)));
    }

    [Fact]
    public async Task Pull_without_any_neighbour_ends_as_no_sources()
    {
        var checkpoint = TestCheckpoint.Create(1000);
        await using var node = await TestNode.StartAsync("node", TestNode.Fast);
        var failure = await Assert.ThrowsAsync<TransferException>(() => node.PullAsync(checkpoint));
        Assert.Equal(TransferError.NoSources, failure.Error);
        Assert.Contains("No peer is known", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Shard_that_a_source_lost_is_fetched_elsewhere()
    {
        var checkpoint = TestCheckpoint.Uniform(6, 50_000);

        // In the node's time nothing passes after which it would ask again.
        await using var net = await PullNet.StartAsync(checkpoint, publisher: "honest", time: new VirtualTime());
        var (honest, node) = net;
        await using var forgetful = new LyingPeer(checkpoint, async (stream, id, _, _, token) =>
            await stream.WriteAsync(FrameCodec.Encode(id, FrameType.NotFound), token));
        node.Meet(checkpoint, forgetful.Info, honest.Info);

        var report = await node.PullAsync(checkpoint);

        await node.AssertHoldsAsync(checkpoint);
        Assert.True(forgetful.Fetches <= 6, $"{forgetful.Fetches} fetches: a shard was asked for again after NotFound");
        Assert.All(report.Sources, s => Assert.Null(s.Banned));
    }

    [Fact]
    public async Task Source_that_goes_on_announcing_what_it_denies_is_asked_ever_more_rarely()
    {
        var checkpoint = TestCheckpoint.Uniform(1, 1000);
        await using var node = await TestNode.StartAsync("node", TestNode.Hopeless);
        LyingPeer? peer = null;
        await using var liar = peer = new LyingPeer(checkpoint, async (stream, id, _, _, token) =>
        {
            await stream.WriteAsync(FrameCodec.Encode(id, FrameType.NotFound), token);
            await peer!.AnnounceAsync(token);
        });
        node.Meet(checkpoint, liar.Info);

        var failure = await Assert.ThrowsAsync<TransferException>(() => node.PullAsync(checkpoint));

        Assert.Equal(TransferError.NoSources, failure.Error);
        Assert.InRange(liar.Fetches, 1, 20);
    }

    [Fact]
    public async Task Source_that_comes_back_at_another_address_is_found_by_the_running_pull()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 50_000);
        await using var net = await PullNet.StartAsync(checkpoint, pulling: TestNode.OverTcp);
        var (publisher, node) = net;
        node.Meet(checkpoint, publisher.Info with { Endpoints = ["127.0.0.1:1"] });

        var pull = node.PullAsync(checkpoint);
        node.Meet(checkpoint, publisher.Info);
        await pull;

        await node.AssertHoldsAsync(checkpoint);
    }

    private static Dictionary<string, LyingPeer.Answer> Lies { get; } = new()
    {
        ["one byte short"] = (stream, id, shard, bytes, token) => LyingPeer.SendDataAsync(stream, id, shard.Size - 1, bytes.AsMemory(1), token),
        ["one byte long"] = (stream, id, shard, bytes, token) => LyingPeer.SendDataAsync(stream, id, shard.Size + 1, bytes, token),
        ["a gigabyte announced"] = (stream, id, _, bytes, token) => LyingPeer.SendDataAsync(stream, id, 1 << 30, bytes, token),
        ["answer to nobody"] = (stream, id, shard, bytes, token) => LyingPeer.SendDataAsync(stream, id + 1000, shard.Size, bytes, token),
        ["wrong kind of frame"] = async (stream, id, _, _, token) => await stream.WriteAsync(FrameCodec.Encode(id, FrameType.Ready), token),
        ["no frame at all"] = async (stream, _, _, _, token) => await stream.WriteAsync("HTTP/1.1 400 Bad Request\r\n\r\n"u8.ToArray(), token),
        ["endless bytes"] = async (stream, id, shard, bytes, token) =>
        {
            await LyingPeer.SendDataAsync(stream, id, shard.Size, bytes, token);
            while (true)
            {
                await stream.WriteAsync(bytes, token);
            }
        },
    };

    private static Task BannedAsync(TestNode node, LyingPeer liar) =>
        Eventually.HoldsAsync(() => node.Transfer.Peers.Any(p => p.Peer.Id == liar.Info.Id && p.Banned is not null), "the liar is banned");

    private static Task SendWrongAsync(NetworkStream stream, uint id, ShardInfo shard, byte[] bytes, CancellationToken cancellationToken)
    {
        var wrong = bytes.ToArray();
        wrong[^1] ^= 1;
        return LyingPeer.SendDataAsync(stream, id, shard.Size, wrong, cancellationToken);
    }
}
