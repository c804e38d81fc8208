using System.Collections.Immutable;
using System.Net.Sockets;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Leasing;

/// <summary>The caller's side, against peers that answer as they should not.</summary>
public sealed class LeaseSessionTests
{
    private static readonly ShardInfo Shard = TestCheckpoint.Create(1000).Manifest.Shards[0];
    private static readonly FileLocation Place = new(Tiers.Disk, "/somewhere/else", new FileIdentity(1, 2, 5000, 3), 4000);
    private static readonly MemoryLocation Keys = new([new RemoteKey(0, 4096, 7)]);

    /// <summary>What the peer sends as an answer to request 1, a Locate of a file, and words of the complaint.</summary>
    public static TheoryData<string, byte[], string> Lies => new()
    {
        { "memory for a file", FrameCodec.Encode(1, new LocatedMemoryMessage(1, 1000, Keys)), "answers Locate with LocatedMemory" },
        { "another question's answer", FrameCodec.Encode(1, new QueuesRefusedMessage("no")), "answers Locate with QueuesRefused" },
        { "no such request", FrameCodec.Encode(9, FrameType.NotFound), "which is not open" },
        { "cancelled unasked", FrameCodec.Encode(1, FrameType.Cancelled), "answers Locate with Cancelled" },
        { "renewed unasked", FrameCodec.Encode(1, new RenewedMessage(1000, false)), "was not asked to renew" },
        { "a request", FrameCodec.Encode(1, FrameType.Renew), "answers Locate with Renew" },
        { "a frame of another lane", FrameCodec.Encode(1, new SubscribeMessage(Shard.Digest, ShardBitmap.Empty)), "answers Locate with Subscribe" },
        { "behind the end of the file", FrameCodec.Encode(1, new LocatedFileMessage(1, 1000, Place with { Offset = 4001 })), "lies at 4001 of 5000" },
        { "an absurd offset", FrameCodec.Encode(1, new LocatedFileMessage(1, 1000, Place with { Offset = long.MinValue })), "no place of a shard" },
        { "no tier", FrameCodec.Encode(1, new LocatedFileMessage(1, 1000, Place with { Tier = Tiers.Memory | Tiers.Disk })), "no place of a shard" },
        { "a relative path", FrameCodec.Encode(1, new LocatedFileMessage(1, 1000, Place with { Path = "etc/passwd" })), "not a full path" },
        { "an endless path", FrameCodec.Encode(1, new LocatedFileMessage(1, 1000, Place with { Path = "/" + new string('a', 4096) })), "not a full path" },
        { "a lease for ever", FrameCodec.Encode(1, new LocatedFileMessage(1, int.MaxValue, Place)), "the time of a lease" },
        { "a lease twice", [.. FrameCodec.Encode(1, new LocatedFileMessage(1, 1000, Place)), .. FrameCodec.Encode(2, new LocatedFileMessage(1, 1000, Place))], "a second time" },
        { "no frame", new byte[16], "is no frame" },
    };

    [Theory]
    [MemberData(nameof(Lies))]
    public async Task Answer_against_the_protocol_ends_the_lane_and_every_request_on_it(string lie, byte[] answer, string complaint)
    {
        await using var peer = await ScriptedPeer.StartAsync(async (stream, cancellationToken) =>
        {
            // Both requests are open before the answer comes.
            await ReadFrameAsync(stream, cancellationToken);
            await ReadFrameAsync(stream, cancellationToken);
            await stream.WriteAsync(answer, cancellationToken);
        });

        LocateOutcome[] outcomes = await Task.WhenAll(
            peer.Leases.LocateAsync(Shard, LeaseKind.File, TestNode.Deadline).AsTask(), peer.Leases.LocateAsync(Shard, LeaseKind.File, TestNode.Deadline).AsTask());

        Assert.Contains(outcomes, outcome => outcome.Status == FetchStatus.ProtocolError && outcome.Detail!.Contains(complaint, StringComparison.Ordinal));
        var reason = await peer.Leases.Ended.WaitAsync(TestNode.Deadline);
        Assert.True(reason is TransferException { Error: TransferError.Protocol }, $"{lie}: {reason}");
        Assert.Equal(FetchStatus.ProtocolError, (await peer.Leases.LocateAsync(Shard, LeaseKind.File, TestNode.Deadline)).Status);
    }

    [Fact]
    public async Task Queues_that_were_not_offered_are_a_violation()
    {
        await using var peer = await ScriptedPeer.StartAsync(async (stream, cancellationToken) =>
        {
            foreach (var device in (QueueDevice[])[FakeQueues.Device(4, 2), FakeQueues.Device(3, 1)])
            {
                var id = (await ReadFrameAsync(stream, cancellationToken)).RequestId;
                await stream.WriteAsync(FrameCodec.Encode(id, new QueuesConnectedMessage([device])), cancellationToken);
            }
        });

        for (var round = 0; round < 2; round++)
        {
            var violation = await Assert.ThrowsAsync<TransferException>(() => peer.Leases.ConnectQueuesAsync(FakeQueues.Offer(2, 3), TestNode.Deadline).AsTask());
            Assert.Equal(TransferError.Protocol, violation.Error);
        }
    }

    [Fact]
    public async Task Lane_that_breaks_fails_the_path_but_not_the_peer_and_can_be_opened_again()
    {
        var checkpoint = TestCheckpoint.Create(1000);
        await using var pair = await LeasePair.OpenAsync(checkpoint);
        var before = pair.Leases;
        Assert.Same(before, await pair.Session.LeasesAsync(TestNode.Deadline));
        using var lease = await pair.LeaseAsync(checkpoint.Manifest.Shards[0], LeaseKind.File);

        await before.DisposeAsync();

        Assert.Equal(FetchStatus.PathFailed, (await before.LocateAsync(checkpoint.Manifest.Shards[0], LeaseKind.File, TestNode.Deadline)).Status);
        await Assert.ThrowsAsync<IOException>(() => before.ProveHostAsync(HostProof.NewChallenge(), TestNode.Deadline).AsTask());
        Assert.True(lease.IsValid);
        var after = await pair.Session.LeasesAsync(TestNode.Deadline);
        Assert.NotSame(before, after);
        using var again = (await after.LocateAsync(checkpoint.Manifest.Shards[0], LeaseKind.File, TestNode.Deadline)).Lease;
        Assert.NotNull(again);
    }

    [Fact]
    public async Task Session_that_is_closed_closes_the_lane_and_is_the_peers_end()
    {
        var checkpoint = TestCheckpoint.Create(1000);
        await using var pair = await LeasePair.OpenAsync(checkpoint);
        await pair.CloseSessionAsync();
        await pair.Leases.Ended.WaitAsync(TestNode.Deadline);
        Assert.Equal(FetchStatus.Disconnected, (await pair.Leases.LocateAsync(checkpoint.Manifest.Shards[0], LeaseKind.File, TestNode.Deadline)).Status);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => pair.Session.LeasesAsync(TestNode.Deadline).AsTask());
    }

    [Fact]
    public async Task Peer_that_says_for_too_long_that_it_works_on_a_request_is_not_believed()
    {
        var time = new VirtualTime();
        var tooLong = new TaskCompletionSource();
        await using var peer = await ScriptedPeer.StartAsync(
            async (stream, cancellationToken) =>
            {
                var id = (await ReadFrameAsync(stream, cancellationToken)).RequestId;
                await stream.WriteAsync(FrameCodec.Encode(id, FrameType.Locating), cancellationToken);
                await tooLong.Task.WaitAsync(cancellationToken);
                await stream.WriteAsync(FrameCodec.Encode(id, FrameType.Locating), cancellationToken);
                await stream.WriteAsync(FrameCodec.Encode(id, FrameType.NotFound), cancellationToken);
            },
            time);
        var signs = 0;
        var waiting = peer.Leases.LocateAsync(Shard, LeaseKind.Memory, () => Interlocked.Increment(ref signs), TestNode.Deadline).AsTask();
        await Eventually.HoldsAsync(() => Volatile.Read(ref signs) == 1, "the first sign of life");

        time.Advance(WireLimits.LocatingTime);
        tooLong.SetResult();

        // The answer comes behind the second sign.
        Assert.Equal(FetchStatus.NotFound, (await waiting).Status);
        Assert.Equal(1, signs);
    }

    [Fact]
    public async Task Request_that_was_given_up_hears_nothing_more_and_the_lane_goes_on()
    {
        await using var peer = await ScriptedPeer.StartAsync(async (stream, cancellationToken) =>
        {
            var id = (await ReadFrameAsync(stream, cancellationToken)).RequestId;
            Assert.Equal(FrameType.Cancel, (await ReadFrameAsync(stream, cancellationToken)).Type);
            await stream.WriteAsync(FrameCodec.Encode(id, FrameType.Locating), cancellationToken);
            var next = (await ReadFrameAsync(stream, cancellationToken)).RequestId;
            await stream.WriteAsync(FrameCodec.Encode(next, FrameType.NotFound), cancellationToken);
        });
        using var cancelled = new CancellationTokenSource();
        var waiting = peer.Leases.LocateAsync(Shard, LeaseKind.File, () => throw new InvalidOperationException("whoever asked does something else by now"), cancelled.Token).AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);

        // Its answer comes behind the sign of life.
        Assert.Equal(FetchStatus.NotFound, (await peer.Leases.LocateAsync(Shard, LeaseKind.File, TestNode.Deadline)).Status);
        Assert.False(peer.Leases.Ended.IsCompleted);
    }

    [Fact]
    public async Task Lane_on_which_this_node_itself_fails_ends_like_any_other()
    {
        await using var peer = await ScriptedPeer.StartAsync(async (stream, cancellationToken) =>
        {
            var id = (await ReadFrameAsync(stream, cancellationToken)).RequestId;
            await stream.WriteAsync(FrameCodec.Encode(id, FrameType.Locating), cancellationToken);
        });

        var outcome = await peer.Leases.LocateAsync(Shard, LeaseKind.File, () => throw new InvalidOperationException("a fault"), TestNode.Deadline);

        Assert.Equal(FetchStatus.PathFailed, outcome.Status);
        Assert.Contains("a fault", (await peer.Leases.Ended.WaitAsync(TestNode.Deadline)).Message, StringComparison.Ordinal);
    }

    private static async Task<FrameHeader> ReadFrameAsync(NetworkStream stream, CancellationToken cancellationToken)
    {
        var bytes = new byte[FrameHeader.Size];
        await stream.ReadExactlyAsync(bytes, cancellationToken);
        Assert.True(FrameHeader.TryRead(bytes, out var header, out var problem), problem);
        await stream.ReadExactlyAsync(new byte[header.Length], cancellationToken);
        return header;
    }

    /// <summary>A peer that shakes hands properly and then plays a script on its one lease lane.</summary>
    private sealed class ScriptedPeer : IAsyncDisposable
    {
        private readonly ConnectionWatch _watch = new(TimeProvider.System);
        private readonly ScriptedListener _listener;

        private ScriptedPeer(ScriptedListener listener) => _listener = listener;

        public LeaseSession Leases { get; private set; } = null!;

        public static async Task<ScriptedPeer> StartAsync(Func<NetworkStream, CancellationToken, Task> script, TimeProvider? time = null)
        {
            var id = Guid.NewGuid();
            var peer = new ScriptedPeer(new ScriptedListener(async (stream, cancellationToken) =>
            {
                await ReadFrameAsync(stream, cancellationToken);
                await stream.WriteAsync(FrameCodec.Encode(0, new HelloAckMessage(id, "liar", ClusterProof.NewNonce(), default)), cancellationToken);
                await ReadFrameAsync(stream, cancellationToken);
                await stream.WriteAsync(FrameCodec.Encode(0, FrameType.Ready), cancellationToken);
                await script(stream, cancellationToken);
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }));
            var info = new PeerInfo(id, "liar", [peer._listener.EndPoint.ToString()], "host", ImmutableSortedDictionary<string, string>.Empty);
            var dialler = new Dialler(new Identity(Guid.NewGuid(), "caller", null), peer._watch, TimeProvider.System);
            var lane = await dialler.OpenAsync(info, LaneKind.Lease, TestNode.Deadline);
            peer.Leases = new LeaseSession(lane, "liar", new TaskCompletionSource().Task, TimeSpan.FromMinutes(1), time ?? TimeProvider.System);
            return peer;
        }

        public async ValueTask DisposeAsync()
        {
            await Leases.DisposeAsync();
            await _listener.DisposeAsync();
            await _watch.DisposeAsync();
        }
    }
}
