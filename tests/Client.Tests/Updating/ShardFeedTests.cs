using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Client.Updating;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Updating;

public sealed class ShardFeedTests : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly TempFolder _folder = new();
    private readonly Manifest _manifest = ManifestFactory.OfShards(1, 1, 2);
    private readonly TaskCompletionSource _pull = new();
    private ShardStore _store = null!;
    private ShardFeed _feed = null!;

    public async Task InitializeAsync()
    {
        _store = await ShardStore.OpenAsync(
            new StoreOptions { DataDirectory = _folder["data"], ArenaRoot = _folder.Path, MemoryBytes = 16 << 20, DiskBytes = 1 << 20, GpuMemory = [new GpuMemory("host-0", 16 << 20)] },
            TimeProvider.System, NullLoggerFactory.Instance, default);
        _feed = new ShardFeed(_store, _manifest, _pull.Task);
    }

    public async Task DisposeAsync()
    {
        _feed.Dispose();
        await _store.DisposeAsync();
        _folder.Dispose();
    }

    [Fact]
    public async Task A_shard_is_leased_as_soon_as_it_is_there()
    {
        await WriteAsync(2);
        (await _feed.TakeAsync(1, default)).Dispose();

        var waiting = _feed.TakeAsync(0, default).AsTask();
        Assert.False(waiting.IsCompleted);
        await WriteAsync(1);

        using var lease = await waiting.WaitAsync(Deadline);
        Assert.Equal(_manifest.Shards[0], lease.Shard);
    }

    [Fact]
    public async Task A_shard_that_only_a_gpu_holds_is_leased_there_and_takes_no_memory()
    {
        await WriteAsync(1, ShardTarget.InGpu(0));

        using var lease = await _feed.TakeAsync(0, default);

        Assert.Equal((Tiers.Gpu, Tiers.Gpu), (lease.Tier, _store.Locate(lease.Shard.Digest)));
        var read = new byte[1];
        await lease.ReadAsync(read, default);
        Assert.Equal(1, read[0]);
    }

    [Fact]
    public async Task A_pull_that_fails_fails_whoever_waits()
    {
        var waiting = _feed.TakeAsync(0, default).AsTask();
        _pull.SetException(new StoreException(StoreError.Io, "no source"));

        Assert.Equal("no source", (await Assert.ThrowsAsync<StoreException>(() => waiting.WaitAsync(Deadline))).Message);
    }

    [Fact]
    public async Task A_shard_that_is_not_there_after_the_pull_is_an_error_that_names_it()
    {
        _pull.SetResult();

        var failure = await Assert.ThrowsAsync<StoreException>(() => _feed.TakeAsync(0, default).AsTask().WaitAsync(Deadline));

        Assert.Equal((StoreError.Full, _manifest.Shards[0].Digest), (failure.Error, failure.Shard));
    }

    private async Task WriteAsync(byte number, ShardTarget target = default)
    {
        using var write = await _store.BeginWriteAsync(ManifestFactory.Shard(number, 1), target, default);
        write.Buffer.Span[0] = number;
        await write.CommitAsync(default);
    }
}
