using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Bench.Measuring;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Transfer;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Bench.Paths;

/// <summary>The side that reads: the product's rdma path over a session with a <see cref="RdmaSource"/>, without the pull around it and without hash and commit.</summary>
internal sealed class RdmaReader : IAsyncDisposable
{
    /// <summary>Shards asked for at the same time: one is being located while others are read.</summary>
    private const int InFlight = 3;

    private const int MaxHandshakes = 3;

    /// <summary>Times that one shard is asked for while the source has no upload slot: it waits up to a quarter of a second each time, and names as long a wait.</summary>
    private const int MaxAsked = 20;

    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromMinutes(5);

    private readonly SharedMemoryFolder _folder = new();
    private readonly ConnectionWatch _watch = new(TimeProvider.System);
    private readonly ByteRate _noCap = new(0);
    private readonly IReadOnlyList<ShardInfo> _shards = BenchShards.Describe();
    private SourceProcess? _source;
    private ShardStore? _store;
    private RdmaHost? _host;
    private PeerSession? _session;
    private IPathChannel? _channel;

    private RdmaReader()
    {
    }

    /// <summary>Starts a source and opens the path to it; one shard is read and compared.</summary>
    /// <exception cref="BenchException">The path does not open, or brings other bytes.</exception>
    public static async Task<RdmaReader> StartAsync(string sourceDevice, string device, CancellationToken cancellationToken)
    {
        var reader = new RdmaReader();
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(ReadyDeadline);
            reader._source = await SourceProcess.StartAsync(RdmaSource.Name, ["--device", sourceDevice], deadline.Token);
            await reader.OpenAsync(reader._source.Peer, device, deadline.Token);
            return reader;
        }
        catch
        {
            await reader.DisposeAsync();
            throw;
        }
    }

    /// <summary>Reads shards, over and over, until so many bytes have come.</summary>
    /// <returns>The rate in GB/s, and what both processes used.</returns>
    /// <exception cref="BenchException">A read failed.</exception>
    public Task<Sample> ReadAsync(long bytes, CancellationToken cancellationToken)
    {
        var count = (int)Math.Max(1, bytes / BenchShards.Bytes);
        return _source!.MeasureAsync((long)count * BenchShards.Bytes, () => ReadShardsAsync(count, number => _shards[number % BenchShards.Count], cancellationToken));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var part in new IAsyncDisposable?[] { _channel, _session, _watch, _host, _store })
        {
            if (part is not null)
            {
                await part.DisposeAsync();
            }
        }

        _source?.Dispose();
        _folder.Dispose();
    }

    private async Task OpenAsync(PeerInfo source, string device, CancellationToken cancellationToken)
    {
        _store = await RdmaSource.OpenStoreAsync(_folder, cancellationToken);
        var options = new TransferOptions { Paths = [PathNames.Rdma], RdmaDevices = [device] };
        _host = RdmaHost.Start(options, _store.Regions, NullLogger.Instance);
        _session = await ConnectAsync(source, new Dialler(new Identity(_store.NodeId, "reader", null), _watch, TimeProvider.System), cancellationToken);
        await _host.Ready.WaitAsync(cancellationToken);
        var opening = await new RdmaPath(_host, _noCap, TimeProvider.System).OpenAsync(_session, cancellationToken);
        _channel = opening.Channel ?? throw new BenchException($"the path rdma does not open between two processes of this machine: {opening.Reason}");
        await ReadShardAsync(_shards[0], compare: true, cancellationToken);
        await WarmCode.RunAsync(() => ReadShardsAsync(16, _ => _shards[BenchShards.Count], cancellationToken));
    }

    /// <summary>The first handshake compiles what it needs, on both sides, which takes longer than the protocol waits where processors are emulated.</summary>
    private static async Task<PeerSession> ConnectAsync(PeerInfo source, Dialler dialler, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await PeerSession.OpenAsync(source, dialler, TimeProvider.System, cancellationToken);
            }
            catch (IOException) when (attempt < MaxHandshakes)
            {
            }
        }
    }

    private Task ReadShardsAsync(int count, Func<int, ShardInfo> choose, CancellationToken cancellationToken)
    {
        var next = -1;
        return Task.WhenAll(Enumerable.Range(0, InFlight).Select(async _ =>
        {
            for (var read = Interlocked.Increment(ref next); read < count; read = Interlocked.Increment(ref next))
            {
                await ReadShardAsync(choose(read), compare: false, cancellationToken);
            }
        }));
    }

    private async Task ReadShardAsync(ShardInfo shard, bool compare, CancellationToken cancellationToken)
    {
        using var write = await _store!.BeginWriteAsync(shard, default, cancellationToken);
        var outcome = await _channel!.FetchAsync(write, _ => { }, cancellationToken);

        // On a busy host no slot may come free in time; then a pull asks again too, and what that costs is part of what it gets.
        for (var asked = 1; outcome.Status == FetchStatus.Busy && asked < MaxAsked; asked++)
        {
            await Task.Delay(outcome.RetryAfter, cancellationToken);
            outcome = await _channel.FetchAsync(write, _ => { }, cancellationToken);
        }

        if (outcome.Status != FetchStatus.Ok || (compare && Blake3.Hash(write.Buffer.Span) != shard.Digest))
        {
            throw new BenchException($"a read over rdma gave {(outcome.Status == FetchStatus.Ok ? "other bytes than the source has" : $"{outcome.Status}: {outcome.Detail}")}");
        }
    }
}
