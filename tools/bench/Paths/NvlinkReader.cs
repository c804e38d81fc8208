using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Bench.Measuring;
using P2PWeights.Store;
using P2PWeights.Transfer;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Paths.Nvlink;

namespace P2PWeights.Bench.Paths;

/// <summary>The side whose GPU takes the shards of a <see cref="NvlinkSource"/>: by a whole pull, or by the path alone.</summary>
internal sealed class NvlinkReader : IAsyncDisposable
{
    /// <summary>Shards asked for at the same time over the path alone: as many as the window of a pull has.</summary>
    public const int InFlight = 32;

    private static readonly TimeSpan ReadyDeadline = TimeSpan.FromMinutes(5);

    private readonly SharedMemoryFolder _folder = new("-reader");
    private readonly ConnectionWatch _watch = new(TimeProvider.System);
    private readonly GpuShards _shards;
    private readonly Stopwatch _adopting = new();
    private SourceProcess? _source;
    private ShardStore? _store;
    private TransferService? _service;
    private PeerSession? _session;
    private IPathChannel? _channel;

    private NvlinkReader(GpuShards shards) => _shards = shards;

    /// <summary>Starts a source on one GPU and opens the path from another, or the same.</summary>
    /// <exception cref="BenchException">The source ends early, or the path does not open.</exception>
    public static async Task<NvlinkReader> StartAsync(string sourceGpu, string gpu, long bytes, CancellationToken cancellationToken)
    {
        var reader = new NvlinkReader(new GpuShards(bytes));
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(ReadyDeadline);
            reader._source = await SourceProcess.StartAsync(NvlinkSource.Name, ["--gpu", sourceGpu, "--bytes", bytes.ToString(CultureInfo.InvariantCulture)], deadline.Token);
            await reader.OpenAsync(reader._source.Peer, gpu, deadline.Token);
            await reader.CompareAsync(deadline.Token);
            await WarmCode.RunAsync(async () =>
            {
                await reader.PullAsync(deadline.Token);
                await reader.AdoptAsync(deadline.Token);
            });
            return reader;
        }
        catch
        {
            await reader.DisposeAsync();
            throw;
        }
    }

    /// <summary>What the path alone gave the devices to do so far, and in how much time.</summary>
    public (GpuCopies Copies, TimeSpan Time) Adopted => (((NvlinkChannel)_channel!).Copies, _adopting.Elapsed);

    /// <summary>Pulls all shards into the GPU.</summary>
    public Task<Sample> PullAsync(CancellationToken cancellationToken) => MeasureAsync(async () =>
    {
        var report = await _service!.PullAsync(new PullRequest(_shards.Manifest, Ordinals, ShardTarget.InGpu(0)), null, cancellationToken);
        if (report.Paths().Any(path => path.Path != PathNames.Nvlink && path.Bytes > 0))
        {
            throw new BenchException("the pull used another path than nvlink");
        }
    });

    /// <summary>Has the path bring all shards to the GPU, without the pull around it.</summary>
    public Task<Sample> AdoptAsync(CancellationToken cancellationToken) => MeasureAsync(async () =>
    {
        var next = -1;
        _adopting.Start();
        await Task.WhenAll(Enumerable.Range(0, InFlight).Select(_ => Task.Run(
            async () =>
            {
                for (var ordinal = Interlocked.Increment(ref next); ordinal < _shards.Manifest.Shards.Length; ordinal = Interlocked.Increment(ref next))
                {
                    var outcome = await _channel!.AdoptAsync(_shards.Manifest.Shards[ordinal], ShardTarget.InGpu(0), _ => { }, cancellationToken);
                    if (outcome.Status != FetchStatus.Ok)
                    {
                        throw new BenchException($"the path nvlink gave {outcome.Status}: {outcome.Detail}");
                    }
                }
            },
            cancellationToken)));
        _adopting.Stop();
    });

    public async ValueTask DisposeAsync()
    {
        foreach (var part in new IAsyncDisposable?[] { _channel, _session, _watch, _service, _store })
        {
            if (part is not null)
            {
                await part.DisposeAsync();
            }
        }

        _source?.Dispose();
        _folder.Dispose();
    }

    private int[] Ordinals => [.. Enumerable.Range(0, _shards.Manifest.Shards.Length)];

    private async Task OpenAsync(PeerInfo source, string gpu, CancellationToken cancellationToken)
    {
        _store = await _shards.OpenStoreAsync(_folder, gpu, cancellationToken);
        _service = new TransferService(_store, new TransferOptions { Name = "reader", HostId = SourceProcess.HostId, Paths = [PathNames.Nvlink] }, TimeProvider.System, NullLoggerFactory.Instance);
        _service.Join(_shards.Manifest);
        _service.SetNeighbours(_shards.Manifest.Digest, [source]);
        await _service.StartAsync(cancellationToken);
        _session = await PeerSession.OpenAsync(source, new Dialler(new Identity(Guid.NewGuid(), "path", null), _watch, TimeProvider.System), TimeProvider.System, cancellationToken);
        var opening = await new NvlinkPath(_store).OpenAsync(_session, cancellationToken);
        _channel = opening.Channel ?? throw new BenchException($"the path nvlink does not open between two processes of this machine: {opening.Reason}");
    }

    /// <summary>Every shard is read back and hashed, as its first reader does.</summary>
    private async Task CompareAsync(CancellationToken cancellationToken)
    {
        await _service!.PullAsync(new PullRequest(_shards.Manifest, Ordinals, ShardTarget.InGpu(0)), null, cancellationToken);
        foreach (var shard in _shards.Manifest.Shards)
        {
            using var lease = await _store!.LeaseInGpuAsync(shard.Digest, cancellationToken);
            if (lease is null)
            {
                throw new BenchException($"shard {shard.Digest} came with other bytes than the source has");
            }
        }

        await EmptyAsync(cancellationToken);
    }

    private async Task<Sample> MeasureAsync(Func<Task> run)
    {
        var sample = await _source!.MeasureAsync(_shards.Manifest.TotalBytes, run);
        await EmptyAsync(CancellationToken.None);
        return sample;
    }

    private async Task EmptyAsync(CancellationToken cancellationToken)
    {
        foreach (var shard in _shards.Manifest.Shards)
        {
            await _store!.EvictAsync(shard.Digest, Tiers.Gpu, cancellationToken);
        }
    }
}
