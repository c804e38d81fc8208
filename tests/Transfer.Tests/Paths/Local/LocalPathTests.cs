using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Native.Posix;
using P2PWeights.Store;
using P2PWeights.Testing;
using P2PWeights.Testing.Faults;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Leasing;
using P2PWeights.Transfer.Paths.Local;

namespace P2PWeights.Transfer.Tests.Paths.Local;

public sealed class LocalPathTests : LeasedPathContract
{
    private protected override ITransferPath NewPath(TestNode node) => new LocalPath(node.Store, TimeProvider.System, NullLogger.Instance);

    private protected override Task<TestNode> StartSourceAsync(TimeProvider time) => TestNode.StartAsync("source", TestNode.OverTcp, time: time);

    [Fact]
    public async Task Shard_in_the_peer_s_memory_is_borrowed_and_given_back()
    {
        var checkpoint = TestCheckpoint.Uniform(3, 1 << 20);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        foreach (var shard in checkpoint.Manifest.Shards)
        {
            Assert.Equal(FetchStatus.Ok, (await pair.Channel.AdoptAsync(shard, null, _ => { }, TestNode.Deadline)).Status);
            Assert.Equal(Tiers.Reference, pair.Node.Store.Locate(shard.Digest));
        }

        // What is borrowed outlives the pull: channel and session end, and the owner may not give the bytes up.
        await pair.CloseAsync();
        await pair.Node.AssertHoldsAsync(checkpoint);
        Assert.Equal(3, pair.Source.Store.Usage.Leases);
        Assert.Equal(Tiers.None, await pair.Source.Store.EvictAsync(checkpoint.Manifest.Shards[0].Digest, Tiers.Memory, TestNode.Deadline));

        foreach (var shard in checkpoint.Manifest.Shards)
        {
            await pair.Node.Store.EvictAsync(shard.Digest, Tiers.Reference, TestNode.Deadline);
        }

        await Eventually.HoldsAsync(() => pair.Source.Store.Usage.Leases == 0, "the leases were given back");
    }

    [Fact]
    public async Task Lane_that_ends_under_a_later_session_fails_the_path_and_is_opened_anew()
    {
        var checkpoint = TestCheckpoint.Uniform(2, 1 << 20);
        await using var source = await TestNode.StartAsync("source", TestNode.OverTcp);
        await source.HoldAsync(checkpoint);
        await using var node = await TestNode.StartAsync("node");
        await using var path = new LocalPath(node.Store, TimeProvider.System, NullLogger.Instance);
        await using var watch = new ConnectionWatch(TimeProvider.System);
        var dialler = new Dialler(new Identity(node.Store.NodeId, node.Name, null), watch, TimeProvider.System);
        LeaseSession lane;
        await using (var first = await PeerSession.OpenAsync(source.Info, dialler, TimeProvider.System, TestNode.Deadline))
        {
            lane = await first.LeasesAsync(TestNode.Deadline);
            await using var channel = (await path.OpenAsync(first, TestNode.Deadline)).Channel!;
            Assert.Equal(FetchStatus.Ok, (await channel.AdoptAsync(checkpoint.Manifest.Shards[0], null, _ => { }, TestNode.Deadline)).Status);
        }

        // What is borrowed keeps the lane, and the next session finds it.
        Assert.False(lane.Ended.IsCompleted);
        await using var second = await PeerSession.OpenAsync(source.Info, dialler, TimeProvider.System, TestNode.Deadline);
        await using (var channel = (await path.OpenAsync(second, TestNode.Deadline)).Channel!)
        {
            await lane.DisposeAsync();
            await lane.Ended.WaitAsync(TestNode.Deadline);
            var outcome = await channel.AdoptAsync(checkpoint.Manifest.Shards[1], null, _ => { }, TestNode.Deadline);
            Assert.Equal((FetchStatus.PathFailed, FailureReasons.LaneLost), (outcome.Status, outcome.Reason));
        }

        await using var anew = (await path.OpenAsync(second, TestNode.Deadline)).Channel!;
        Assert.Equal(FetchStatus.Ok, (await anew.AdoptAsync(checkpoint.Manifest.Shards[1], null, _ => { }, TestNode.Deadline)).Status);
    }

    [Theory]
    [InlineData("gone")]
    [InlineData("another")]
    [InlineData("no arena")]
    public async Task Peer_whose_arena_is_not_seen_here_is_not_on_this_host(string arena)
    {
        await using var source = await TestNode.StartAsync("source");
        await using var node = await TestNode.StartAsync("node");
        await using var path = new LocalPath(node.Store, TimeProvider.System, NullLogger.Instance);
        var file = source.Store.Arena!.Path;
        File.Delete(file);
        if (arena == "another")
        {
            // Not File.Copy, which asks for a lock that the owner has.
            using var other = PosixFile.OpenRead(node.Store.Arena!.Path, followSymlinks: false);
            var header = new byte[8192];
            RandomAccess.Read(other, header, 0);
            await File.WriteAllBytesAsync(file, header);
        }
        else if (arena == "no arena")
        {
            await File.WriteAllBytesAsync(file, new byte[100_000]);
        }

        await using var peer = await PeerConnection.OpenAsync(node, source.Info);
        var opening = await path.OpenAsync(peer.Session, TestNode.Deadline);

        Assert.Null(opening.Channel);
        Assert.Contains(file, opening.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Peer_that_stops_renewing_loses_nothing_and_keeps_its_reader_right()
    {
        var checkpoint = TestCheckpoint.Uniform(4, 1 << 20);
        await using var pair = await OpenAsync();
        await pair.Source.HoldAsync(checkpoint);
        foreach (var shard in checkpoint.Manifest.Shards)
        {
            Assert.Equal(FetchStatus.Ok, (await pair.Channel.AdoptAsync(shard, null, _ => { }, TestNode.Deadline)).Status);
        }

        var lost = 0;
        pair.Node.Store.Changed += change => lost += change.Gained ? 0 : 1;
        pair.Proxy.ToTarget.Line = new FaultLine { Fault = FaultKind.Blackhole };

        await Eventually.HoldsAsync(
            () => checkpoint.Manifest.Shards.All(shard => pair.Node.Store.Locate(shard.Digest) == Tiers.Memory), "the borrowed shards were copied");

        await pair.Node.AssertHoldsAsync(checkpoint);
        Assert.Equal(0, lost);
    }

    [Fact]
    public async Task Failure_that_nobody_thought_of_is_told_and_what_is_borrowed_is_still_looked_after()
    {
        var checkpoint = TestCheckpoint.Create(8 << 20, 16 << 20, 8 << 20, 16 << 20);
        var node = await StartNodeAsync("node", 64 << 20);
        var log = new FailingLog("BorrowedKept");
        await using var pair = await PathPair.OpenAsync(
            await TestNode.StartAsync("source", memory: 16 << 20, disk: 0), node, new LocalPath(node.Store, TimeProvider.System, log));

        // Each time the source wants back what it lent, for a shard that takes all of its memory.
        await LendAndWantBackAsync(0, 1);
        await Eventually.HoldsAsync(() => log.Seen.Contains("KeepingFailed"), "the failure is told");
        await pair.Source.Store.EvictAsync(checkpoint.Manifest.Shards[1].Digest, Tiers.Memory, TestNode.Deadline);
        await LendAndWantBackAsync(2, 3);

        async Task LendAndWantBackAsync(int lent, int wanted)
        {
            await pair.Source.HoldAsync(checkpoint, lent);
            var shard = checkpoint.Manifest.Shards[lent];
            await Eventually.HoldsAsync(
                async () => (await pair.Channel.AdoptAsync(shard, null, _ => { }, TestNode.Deadline)).Status == FetchStatus.Ok, "the source lends");
            await pair.Source.HoldAsync(checkpoint, wanted);
            Assert.Equal(Tiers.Memory, node.Store.Locate(shard.Digest));
        }
    }

    /// <summary>Fails the first time that it is told of one event, as a full disk under a log file would.</summary>
    private sealed class FailingLog(string name) : ILogger
    {
        private readonly ConcurrentQueue<string> _seen = new();

        public IEnumerable<string> Seen => _seen;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            var isFirst = !_seen.Contains(eventId.Name);
            _seen.Enqueue(eventId.Name!);
            if (isFirst && eventId.Name == name)
            {
                throw new IOException($"no room for {formatter(state, exception)}");
            }
        }
    }
}
