using P2PWeights.Store;
using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Tests.Paths;

/// <summary>What every implementation of <see cref="ITransferPath"/> keeps. A test class per path derives from it.</summary>
public abstract class TransferPathContract
{
    /// <summary>The path under test.</summary>
    private protected abstract ITransferPath NewPath();

    [Theory]
    [InlineData(1)]
    [InlineData(4095)]
    [InlineData(4096)]
    [InlineData(4097)]
    [InlineData((1 << 20) - 1)]
    [InlineData(1 << 20)]
    [InlineData(16 << 20)]
    public async Task Fetch_fills_the_buffer_and_counts_every_byte(int size)
    {
        var checkpoint = TestCheckpoint.Create(size);
        await using var pair = await PathPair.OpenAsync(NewPath());
        await pair.Source.HoldAsync(checkpoint);
        using var write = await pair.Node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[0], null, TestNode.Deadline);
        var received = 0L;

        var outcome = await pair.Channel.FetchAsync(write, count => Interlocked.Add(ref received, count), TestNode.Deadline);

        Assert.Equal(FetchStatus.Ok, outcome.Status);
        Assert.Equal(size, received);
        Assert.True(write.Buffer.Span.SequenceEqual(checkpoint.Bytes[0]), checkpoint.Seeded.ToString());
    }

    [Fact]
    public async Task Many_fetches_at_once_all_fill_their_own_buffer()
    {
        var checkpoint = TestCheckpoint.Create([.. Enumerable.Range(0, 64).Select(i => 100_000 + i)]);
        await using var pair = await PathPair.OpenAsync(NewPath());
        await pair.Source.HoldAsync(checkpoint);

        await Task.WhenAll(checkpoint.All.Select(async ordinal =>
        {
            using var write = await pair.Node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[ordinal], null, TestNode.Deadline);
            var outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);
            Assert.Equal(FetchStatus.Ok, outcome.Status);
            await write.CommitAsync(TestNode.Deadline);
        }));

        await pair.Node.AssertHoldsAsync(checkpoint);
    }

    [Fact]
    public async Task Fetch_of_a_shard_that_is_not_held_is_not_found()
    {
        var checkpoint = TestCheckpoint.Create(1000);
        await using var pair = await PathPair.OpenAsync(NewPath());
        using var write = await pair.Node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[0], null, TestNode.Deadline);

        var outcome = await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline);

        Assert.Equal(FetchStatus.NotFound, outcome.Status);
    }

    [Fact]
    public async Task Fetch_cancelled_half_way_writes_no_more_and_leaves_the_channel_usable()
    {
        var checkpoint = TestCheckpoint.Create(8 << 20, 5000);
        await using var pair = await PathPair.OpenAsync(NewPath(), new TransferOptions { UploadBytesPerSecond = 16 << 20 });
        await pair.Source.HoldAsync(checkpoint);
        using var write = await pair.Node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[0], null, TestNode.Deadline);
        write.Buffer.Span.Clear();
        using var cancel = new CancellationTokenSource();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await pair.Channel.FetchAsync(write, _ => cancel.Cancel(), cancel.Token));
        write.Buffer.Span.Clear();

        using var second = await pair.Node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[1], null, TestNode.Deadline);
        Assert.Equal(FetchStatus.Ok, (await pair.Channel.FetchAsync(second, _ => { }, TestNode.Deadline)).Status);
        Assert.True(second.Buffer.Span.SequenceEqual(checkpoint.Bytes[1]), checkpoint.Seeded.ToString());
        Assert.False(write.Buffer.Span.ContainsAnyExcept((byte)0));
    }

    [Fact]
    public async Task Fetch_cancelled_before_its_turn_ends_at_once()
    {
        var checkpoint = TestCheckpoint.Create(1000);
        await using var pair = await PathPair.OpenAsync(NewPath());
        await pair.Source.HoldAsync(checkpoint);
        using var write = await pair.Node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[0], null, TestNode.Deadline);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await pair.Channel.FetchAsync(write, _ => { }, new CancellationToken(canceled: true)));

        Assert.Equal(FetchStatus.Ok, (await pair.Channel.FetchAsync(write, _ => { }, TestNode.Deadline)).Status);
    }

    [Fact]
    public async Task Source_that_dies_in_the_middle_of_a_shard_ends_the_fetch_as_disconnected()
    {
        var checkpoint = TestCheckpoint.Create(8 << 20);
        await using var pair = await PathPair.OpenAsync(NewPath(), new TransferOptions { UploadBytesPerSecond = 1 << 20 });
        await pair.Source.HoldAsync(checkpoint);
        using var write = await pair.Node.Store.BeginWriteAsync(checkpoint.Manifest.Shards[0], null, TestNode.Deadline);
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        var fetch = pair.Channel.FetchAsync(write, _ => begun.TrySetResult(), TestNode.Deadline).AsTask();
        await begun.Task.WaitAsync(TestNode.Deadline);
        await pair.Source.StopServingAsync();

        Assert.Equal(FetchStatus.Disconnected, (await fetch).Status);
    }

    /// <summary>A source, a node, and an open channel of the path between them.</summary>
    private sealed class PathPair : IAsyncDisposable
    {
        private readonly ConnectionWatch _watch = new(TimeProvider.System);

        public required TestNode Source { get; init; }

        public required TestNode Node { get; init; }

        public PeerSession Session { get; private set; } = null!;

        public IPathChannel Channel { get; private set; } = null!;

        public static async Task<PathPair> OpenAsync(ITransferPath path, TransferOptions? sourceOptions = null)
        {
            var pair = new PathPair { Source = await TestNode.StartAsync("source", sourceOptions), Node = await TestNode.StartAsync("node") };
            var dialler = new Dialler(new Identity(pair.Node.Store.NodeId, "node", null), pair._watch, TimeProvider.System);
            pair.Session = await PeerSession.OpenAsync(pair.Source.Info, dialler, TimeProvider.System, TestNode.Deadline);
            pair.Channel = Assert.IsAssignableFrom<IPathChannel>((await path.OpenAsync(pair.Session, TestNode.Deadline)).Channel);
            return pair;
        }

        public async ValueTask DisposeAsync()
        {
            await Channel.DisposeAsync();
            await Session.DisposeAsync();
            await _watch.DisposeAsync();
            await Node.DisposeAsync();
            await Source.DisposeAsync();
        }
    }
}
