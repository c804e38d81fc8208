using P2PWeights.Store;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Paths.Tcp;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Paths.Tcp;

public sealed class DataLaneTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1000)]
    public async Task Bytes_that_come_for_a_fetch_given_up_do_not_reach_the_next_owner_of_its_memory(int before)
    {
        const int Size = 1 << 20;
        var checkpoint = TestCheckpoint.Create(Size, 5000, Size);
        var goOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var node = await TestNode.StartAsync("node");
        await using var peer = new LyingPeer(checkpoint, async (stream, id, shard, bytes, token) =>
        {
            if (shard.Size == Size)
            {
                await LyingPeer.SendHeaderAsync(stream, id, Size, token);
                await stream.WriteAsync(bytes.AsMemory(0, before), token);
                await goOn.Task.WaitAsync(token);
                await stream.WriteAsync(bytes.AsMemory(before), token);
            }
            else
            {
                await LyingPeer.SendDataAsync(stream, id, shard.Size, bytes, token);
            }
        });
        await using var caller = await Caller.OpenAsync(node, peer);
        using var cancel = new CancellationTokenSource();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        using (var given = await node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[0], null, TestNode.Deadline))
        {
            var fetch = caller.Channel.FetchAsync(given, _ => begun.TrySetResult(), cancel.Token).AsTask();
            await (before > 0 ? begun.Task.WaitAsync(TestNode.Deadline) : Eventually.HoldsAsync(() => peer.Fetches == 1, "the fetch was asked"));
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fetch);
        }

        using var next = await node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[2], null, TestNode.Deadline);
        next.Buffer.Span.Fill(0x5a);
        goOn.SetResult();

        // The answer to a second fetch comes behind the rest of the first.
        using var second = await node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[1], null, TestNode.Deadline);
        Assert.Equal(FetchStatus.Ok, (await caller.Channel.FetchAsync(second, _ => { }, TestNode.Deadline)).Status);
        Assert.False(next.Buffer.Span.ContainsAnyExcept((byte)0x5a), checkpoint.Seeded.ToString());
    }

    [Fact]
    public async Task Lane_with_as_many_open_fetches_as_a_peer_takes_is_busy_and_not_a_violation()
    {
        var checkpoint = TestCheckpoint.Create(1000);
        await using var node = await TestNode.StartAsync("node");
        await using var peer = new LyingPeer(checkpoint, (_, _, _, _, _) => Task.CompletedTask);
        await using var caller = await Caller.OpenAsync(node, peer);
        using var write = await node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[0], null, TestNode.Deadline);
        using var cancel = new CancellationTokenSource();

        var open = Enumerable.Range(0, WireLimits.MaxOutstandingFetches).Select(_ => caller.Channel.FetchAsync(write, _ => { }, cancel.Token).AsTask()).ToList();
        await Eventually.HoldsAsync(() => peer.Fetches == WireLimits.MaxOutstandingFetches, "all fetches were asked");
        var last = await caller.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);

        Assert.Equal(FetchStatus.Busy, last.Status);
        await cancel.CancelAsync();
        foreach (var fetch in open)
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => fetch);
        }
    }

    /// <summary>One lane from a node to a scripted peer.</summary>
    private sealed class Caller : IAsyncDisposable
    {
        private readonly ConnectionWatch _watch = new(TimeProvider.System);
        private PeerSession? _session;

        public IPathChannel Channel { get; private set; } = null!;

        public static async Task<Caller> OpenAsync(TestNode node, LyingPeer peer)
        {
            var caller = new Caller();
            var dialler = new Dialler(new Identity(node.Store.NodeId, "node", null), caller._watch, TimeProvider.System);
            caller._session = await PeerSession.OpenAsync(peer.Info, dialler, TimeProvider.System, TestNode.Deadline);
            var path = new TcpPath(lanesPerPeer: 1, stallTimeout: TimeSpan.FromSeconds(30), new ByteRate(0));
            caller.Channel = Assert.IsAssignableFrom<IPathChannel>((await path.OpenAsync(caller._session, TestNode.Deadline)).Channel);
            return caller;
        }

        public async ValueTask DisposeAsync()
        {
            await Channel.DisposeAsync();
            await _session!.DisposeAsync();
            await _watch.DisposeAsync();
        }
    }
}
