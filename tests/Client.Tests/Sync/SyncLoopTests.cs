using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Client.Sync;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Testing;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests.Sync;

/// <summary>The loops that keep a node known to others go on, whatever happens in them. With a real tracker, store and transfer service.</summary>
public sealed class SyncLoopTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly ThrowingLog _log = new();
    private TrackerServer _server = null!;
    private ShardStore _store = null!;
    private TransferService _transfer = null!;
    private TrackerClient _tracker = null!;
    private PeerInfo _self = null!;
    private TrackerSync _sync = null!;

    private static CancellationToken Deadline => new CancellationTokenSource(TimeSpan.FromSeconds(60)).Token;

    public async Task InitializeAsync()
    {
        _server = await TrackerServer.StartAsync(new TrackerOptions { Listen = "127.0.0.1:0", DataDirectory = _folder["tracker"] }, TimeProvider.System, NullLoggerFactory.Instance, Deadline);
        _store = await ShardStore.OpenAsync(
            new StoreOptions { DataDirectory = _folder["data"], ArenaRoot = Directory.CreateDirectory(_folder["arena"]).FullName, MemoryBytes = 16 << 20, DiskBytes = 16 << 20 },
            TimeProvider.System, NullLoggerFactory.Instance, Deadline);
        _transfer = new TransferService(_store, new TransferOptions { Paths = [PathNames.Tcp] }, TimeProvider.System, NullLoggerFactory.Instance);
        await _transfer.StartAsync(Deadline);
        _tracker = new TrackerClient([_server.Address], null, TimeProvider.System);
        _self = new PeerInfo(_store.NodeId, "n", [_transfer.LocalEndPoint.ToString()], "host", ImmutableSortedDictionary<string, string>.Empty);
        _sync = new TrackerSync(_store, _transfer, _tracker, _self, TimeProvider.System, _log);
    }

    public async Task DisposeAsync()
    {
        await _sync.DisposeAsync();
        _tracker.Dispose();
        await _transfer.DisposeAsync();
        await _store.DisposeAsync();
        await _server.DisposeAsync();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(typeof(InvalidOperationException))]
    [InlineData(typeof(OperationCanceledException))]
    public async Task Sync_that_fails_as_nobody_thought_of_is_told_to_those_who_wait_and_tried_again_in_full(Type kind)
    {
        _sync.Start();
        await _sync.AnnounceAsync(Deadline);
        var pull = _sync.Pulling(ManifestFactory.OfShards(1, 1).Digest, () => throw (Exception)Activator.CreateInstance(kind)!);

        var failure = await Assert.ThrowsAsync<TrackerException>(() => _sync.AnnounceAsync(Deadline));
        Assert.IsType(kind, failure.InnerException);
        Assert.False(_sync.Reachable);
        await HoldAsync(1);
        pull.Dispose();
        await _sync.AnnounceAsync(Deadline);

        Assert.Equal(("n", 1), Assert.Single((await _tracker.PeersAsync(Deadline)).Select(peer => (peer.Peer.Name, peer.Shards))));
        Assert.True(_sync.Reachable);
    }

    [Fact]
    public async Task Stop_in_the_midst_of_a_sync_releases_those_who_wait_for_it()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var silent = new ScriptedListener(async (_, token) =>
        {
            asked.TrySetResult();
            await Task.Delay(Timeout.Infinite, token);
        });
        using var tracker = new TrackerClient([new Uri($"http://{silent.EndPoint}")], null, TimeProvider.System);
        var sync = new TrackerSync(_store, _transfer, tracker, _self, TimeProvider.System, _log);
        var told = sync.AnnounceAsync(CancellationToken.None);
        sync.Start();
        await asked.Task.WaitAsync(Deadline);

        await sync.DisposeAsync();

        // A token of its own would cancel the wait, too: this one ends otherwise when nobody releases it.
        await Assert.ThrowsAsync<TaskCanceledException>(() => told.WaitAsync(TimeSpan.FromSeconds(60)));
    }

    [Fact]
    public async Task Swarm_that_cannot_be_entered_as_nobody_thought_of_keeps_the_node_from_no_other()
    {
        await HoldAsync(1);
        var (first, second) = (ManifestFactory.OfShards(1, 1, 2), ManifestFactory.OfShards(1, 1, 3));
        await _tracker.PutManifestAsync(first, Deadline);
        await _tracker.PutManifestAsync(second, Deadline);
        await using var asked = new AskedSwarms(_store, _transfer, _tracker, _sync, _log);
        _log.ThrowAt = "AskedSwarmEntered";
        asked.Start();
        asked.Ask(first.Digest);
        asked.Ask(second.Digest);

        await Eventually.HoldsAsync(() => _transfer.Joined(second.Digest) is not null, "the second swarm is entered");

        Assert.Contains("AskedSwarmBroke", _log.Seen);
    }

    [Fact]
    public void Swarms_asked_for_are_remembered_as_far_as_the_tracker_takes_them()
    {
        for (var i = 0; i < 2 * TrackerSync.MaxSwarms; i++)
        {
            _sync.Prefer(Blake3.Hash(BitConverter.GetBytes(i)));
        }

        Assert.Equal(TrackerSync.MaxSwarms, _sync.Preferred);
    }

    private async Task HoldAsync(byte shard)
    {
        using var write = await _store.BeginWriteAsync(ManifestFactory.Shard(shard, 1), null, Deadline);
        write.Buffer.Span[0] = shard;
        await write.CommitAsync(Deadline);
    }

    /// <summary>Fails at one message, as a full disk under a log file would.</summary>
    private sealed class ThrowingLog : ILogger
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<string> _seen = new();

        public string? ThrowAt { get; set; }

        public IEnumerable<string> Seen => _seen;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            _seen.Enqueue(eventId.Name!);
            if (eventId.Name == ThrowAt)
            {
                throw new IOException($"no room for {formatter(state, exception)}");
            }
        }
    }
}
