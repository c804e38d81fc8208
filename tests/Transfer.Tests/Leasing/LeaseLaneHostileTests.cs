using System.Net;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Leasing;

/// <summary>The listener's side, against callers that do what they may not. Their lane ends, and nobody else notices.</summary>
public sealed class LeaseLaneHostileTests
{
    private static readonly TestCheckpoint Checkpoint = TestCheckpoint.Uniform(2, 4000);

    private static ShardInfo Shard => Checkpoint.Manifest.Shards[0];

    public static TheoryData<string, byte[]> Violations => new()
    {
        { "a fetch", FrameCodec.Encode(1, new FetchMessage(Shard)) },
        { "a subscription", FrameCodec.Encode(1, new SubscribeMessage(Shard.Digest, ShardBitmap.Empty)) },
        { "an answer", FrameCodec.Encode(1, new RenewedMessage(1000, false)) },
        { "a location", FrameCodec.Encode(1, new LocatedMemoryMessage(1, 1000, new MemoryLocation([new RemoteKey(0, 0, 0)]))) },
        { "a second hello", FrameCodec.Encode(0, new HelloMessage(Guid.NewGuid(), "again", LaneKind.Lease, false, ClusterProof.NewNonce())) },
        { "lease 0 given back", FrameCodec.Encode(0, new ReleaseMessage([0])) },
        { "a lease given back that was never given", FrameCodec.Encode(0, new ReleaseMessage([1])) },
        { "the largest lease given back", FrameCodec.Encode(0, new ReleaseMessage([ulong.MaxValue])) },
        { "nothing given back", FrameCodec.Encode(0, new ReleaseMessage([])) },
        { "a kind that does not exist", FrameCodec.Encode(1, new LocateMessage(Shard, (LeaseKind)4)) },
        { "an absurd size", FrameCodec.Encode(1, new LocateMessage(Shard with { Size = int.MaxValue }, LeaseKind.File)) },
        { "a short challenge", FrameCodec.Encode(1, new ProveHostMessage(new byte[31])) },
        { "no devices", FrameCodec.Encode(1, new ConnectQueuesMessage([])) },
        { "too many queue pairs", FrameCodec.Encode(1, FakeQueues.Offer(queues: 17)) },
        { "a device that does not exist", FrameCodec.Encode(1, FakeQueues.Offer(device: 16)) },
        { "a device twice", FrameCodec.Encode(1, new ConnectQueuesMessage([FakeQueues.Device(1, 1), FakeQueues.Device(1, 1)])) },
    };

    [Theory]
    [MemberData(nameof(Violations))]
    public async Task Frame_against_the_protocol_ends_the_lane_and_no_other(string violation, byte[] frame)
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint);
        using var lane = await pair.OpenLaneAsync();

        await lane.Connection.SendAsync(frame, TestNode.Deadline);

        await AssertEndsAsync(lane, violation);
        (await pair.LeaseAsync(Shard, LeaseKind.File)).Dispose();
        await pair.NothingIsOutAsync();
    }

    [Fact]
    public async Task Request_id_used_while_it_is_open_ends_the_lane()
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint, listener: new VirtualTime()); // it tells nobody that it is still at it
        pair.Queues.Hold = new TaskCompletionSource().Task;
        using var lane = await ConnectAsync(pair);
        await lane.Connection.SendAsync(FrameCodec.Encode(5, new LocateMessage(Shard, LeaseKind.Memory)), TestNode.Deadline);
        await lane.Connection.SendAsync(FrameCodec.Encode(5, new LocateMessage(Shard, LeaseKind.Memory)), TestNode.Deadline);
        await AssertEndsAsync(lane, "one id twice");
        await pair.NothingIsOutAsync();
    }

    [Fact]
    public async Task More_requests_than_may_wait_end_the_lane_and_leave_nothing_out()
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint, slots: 10_000, listener: new VirtualTime()); // it tells nobody that it is still at it
        pair.Queues.Hold = new TaskCompletionSource().Task;
        using var lane = await ConnectAsync(pair);
        for (uint id = 10; id <= 10 + WireLimits.MaxOutstandingLocates; id++)
        {
            await SendUntilEndedAsync(lane, FrameCodec.Encode(id, new LocateMessage(Shard, LeaseKind.Memory)));
        }

        await AssertEndsAsync(lane, "too many requests");
        await pair.NothingIsOutAsync();
    }

    [Theory]
    [InlineData(6)]
    [InlineData(52)]
    public async Task Flood_of_pings_or_renewals_whose_answers_are_not_read_ends_the_lane(int type)
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint);
        using var lane = await pair.OpenLaneAsync();
        var frames = Enumerable.Range(1, 10_000).SelectMany(id => FrameCodec.Encode((uint)id, (FrameType)type)).ToArray();
        var ended = false;

        // What the sockets hold is a few megabytes; this is more than a hundred.
        for (var round = 0; round < 1000 && !ended; round++)
        {
            ended = await SendUntilEndedAsync(lane, frames);
        }

        Assert.True(ended);
        (await pair.LeaseAsync(Shard, LeaseKind.File)).Dispose();
    }

    [Fact]
    public async Task Flood_of_cancels_costs_nothing_and_lease_given_back_twice_is_passed_over()
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint);
        using var lane = await pair.OpenLaneAsync();
        await lane.Connection.SendAsync(Enumerable.Range(1, 10_000).SelectMany(id => FrameCodec.Encode((uint)id, FrameType.Cancel)).ToArray(), TestNode.Deadline);
        await lane.Connection.SendAsync(FrameCodec.Encode(1, new LocateMessage(Shard, LeaseKind.File)), TestNode.Deadline);
        Assert.Equal(FrameType.LocatedFile, await ReadFrameAsync(lane));
        await lane.Connection.SendAsync(FrameCodec.Encode(0, new ReleaseMessage([1, 1])), TestNode.Deadline);
        await lane.Connection.SendAsync(FrameCodec.Encode(0, new ReleaseMessage([1])), TestNode.Deadline);
        await pair.NothingIsOutAsync();
        await lane.Connection.SendAsync(FrameCodec.Encode(2, FrameType.Ping), TestNode.Deadline);
        Assert.Equal(FrameType.Pong, await ReadFrameAsync(lane));
    }

    [Fact]
    public async Task Leases_beyond_the_files_that_may_be_open_are_answered_busy()
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint, memory: 0);
        var leases = await Task.WhenAll(Enumerable.Range(0, WireLimits.MaxOpenFileLeases).Select(_ => pair.LeaseAsync(Shard, LeaseKind.File)));
        Assert.Equal(FetchStatus.Busy, (await pair.Leases.LocateAsync(Shard, LeaseKind.File, TestNode.Deadline)).Status);
        leases[0].Dispose();
        await Eventually.HoldsAsync(() => pair.LeasesOut == leases.Length - 1, "one is back");
        using var again = await pair.LeaseAsync(Shard, LeaseKind.File);
        Array.ForEach(leases, lease => lease.Dispose());
    }

    [Fact]
    public async Task Leases_beyond_the_files_of_the_node_are_refused_by_name_whoever_has_them()
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint, memory: 0, files: 2);
        using var other = await pair.OpenLaneAsync(Guid.NewGuid());
        await other.Connection.SendAsync(FrameCodec.Encode(1, new LocateMessage(Shard, LeaseKind.File)), TestNode.Deadline);
        Assert.Equal(FrameType.LocatedFile, await ReadFrameAsync(other));
        using var lease = await pair.LeaseAsync(Shard, LeaseKind.File);

        var refused = await pair.Leases.LocateAsync(Shard, LeaseKind.File, TestNode.Deadline);
        Assert.Equal((FetchStatus.PathFailed, FailureReasons.Refused), (refused.Status, refused.Reason));
        Assert.Contains("have 2 leases on files of this node", refused.Detail, StringComparison.Ordinal);

        await other.Connection.SendAsync(FrameCodec.Encode(0, new ReleaseMessage([1])), TestNode.Deadline);
        await Eventually.HoldsAsync(() => pair.Serving.Files.Taken == 1, "one is back");
        await other.Connection.SendAsync(FrameCodec.Encode(2, new LocateMessage(Shard, LeaseKind.File)), TestNode.Deadline);
        Assert.Equal(FrameType.LocatedFile, await ReadFrameAsync(other));
    }

    [Fact]
    public async Task Peer_with_many_lanes_has_no_more_leases_on_files_than_with_one()
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint, memory: 0, files: 8);
        var greedy = Guid.NewGuid();
        var answers = new List<FrameType>();
        var lanes = new List<OpenLane>();
        for (var i = 0; i < 8; i++)
        {
            lanes.Add(await pair.OpenLaneAsync(greedy));
            await lanes[i].Connection.SendAsync(FrameCodec.Encode(1, new LocateMessage(Shard, LeaseKind.File)), TestNode.Deadline);
            answers.Add(await ReadFrameAsync(lanes[i]));
        }

        Assert.Equal([.. Enumerable.Repeat(FrameType.LocatedFile, 4), .. Enumerable.Repeat(FrameType.Busy, 4)], answers);
        using (await pair.LeaseAsync(Shard, LeaseKind.File))
        using (await pair.LeaseAsync(Shard, LeaseKind.File))
        {
            lanes.ForEach(lane => lane.Dispose());
        }
    }

    [Fact]
    public async Task Caller_at_another_address_has_no_more_leases_on_files_under_many_ids_than_under_one()
    {
        await using var pair = await LeasePair.OpenAsync(Checkpoint, memory: 0, files: 8);
        var answers = new List<FrameType>();
        var lanes = new List<FrameConnection>();
        for (var i = 0; i < 8; i++)
        {
            lanes.Add(await pair.CallFromAsync(IPAddress.Parse("127.0.0.2")));
            await lanes[i].SendAsync(FrameCodec.Encode(1, new LocateMessage(Shard, LeaseKind.File)), TestNode.Deadline);
            answers.Add(await ReadFrameAsync(lanes[i]));
        }

        Assert.Equal([.. Enumerable.Repeat(FrameType.LocatedFile, 4), .. Enumerable.Repeat(FrameType.Busy, 4)], answers);
        using (await pair.LeaseAsync(Shard, LeaseKind.File))
        {
            lanes.ForEach(lane => lane.Dispose());
        }
    }

    /// <summary>A lane of its own with queue pairs connected, so that memory may be asked for.</summary>
    private static async Task<OpenLane> ConnectAsync(LeasePair pair)
    {
        var lane = await pair.OpenLaneAsync();
        await lane.Connection.SendAsync(FrameCodec.Encode(1, FakeQueues.Offer()), TestNode.Deadline);
        Assert.Equal(FrameType.QueuesConnected, await ReadFrameAsync(lane));
        return lane;
    }

    private static Task<FrameType> ReadFrameAsync(OpenLane lane) => ReadFrameAsync(lane.Connection);

    private static async Task<FrameType> ReadFrameAsync(FrameConnection connection)
    {
        var header = await connection.ReadHeaderAsync(TestNode.Deadline);
        await connection.ReadControlAsync(header, TestNode.Deadline);
        return header.Type;
    }

    private static async Task<bool> SendUntilEndedAsync(OpenLane lane, byte[] frames)
    {
        try
        {
            await lane.Connection.SendAsync(frames, TestNode.Deadline);
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    /// <summary>The other side closes the lane, without an answer.</summary>
    private static async Task AssertEndsAsync(OpenLane lane, string why)
    {
        var end = await Record.ExceptionAsync(() => ReadFrameAsync(lane));
        Assert.True(end is IOException, $"{why}: {end?.ToString() ?? "it was answered"}");
    }
}
