using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;
using P2PWeights.Client.Engines;
using P2PWeights.Transfer;

namespace P2PWeights.Bench.Updating;

/// <summary>
/// <c>bench update --end-to-end</c>: a node that holds nothing brings a checkpoint from a publisher in another process, by TCP on loopback, into engines: once pulling while it updates, once pulling first. In
/// turns, with a new node each time, which has updated the same engines' devices with a small checkpoint of other bytes before, as one that has been running has: its memory is registered.
/// </summary>
internal sealed class EndToEnd(ImmutableArray<EngineDevice> devices, long size, UpdateRequest request) : IDisposable
{
    private const long WarmUpBytes = 64L << 20;
    private const int WarmUpSeed = 2;

    private readonly SharedMemoryFolder _folder = new("-end-to-end");
    private readonly List<double> _whole = [];
    private readonly List<double> _longest = [];
    private readonly List<double> _pull = [];
    private readonly List<double> _update = [];
    private string _stages = "";
    private Uri _tracker = null!;
    private BenchModel _model = null!;
    private int _nodes;

    /// <summary>Bytes of shared memory that it takes: the published files, and a node's memory tier.</summary>
    public static long SharedMemoryBytes(long size) => size + NodeBytes(size) + (1L << 30);

    public async Task<UpdateRow> RunAsync(int runs, CancellationToken cancellationToken)
    {
        _model = BenchModel.Create(size);
        await _model.WriteAsync(Directory.CreateDirectory(_folder["model"]).FullName, cancellationToken);
        await BenchModel.Create(WarmUpBytes, WarmUpSeed).WriteAsync(Directory.CreateDirectory(_folder["warmup"]).FullName, cancellationToken);
        using var source = OwnProcess.Start(UpdateSource.Name, _folder["model"], _folder["warmup"]);
        try
        {
            var ready = await source.StandardOutput.ReadLineAsync(cancellationToken);
            _tracker = ready?.Split(' ') is [UpdateSource.ReadyWord, var address] ? new Uri(address) : throw new BenchException("the publisher ended before it was ready");
            for (var run = 0; run <= runs; run++)
            {
                await MeasureAsync(isOverlapped: true, counts: run > 0, cancellationToken);
                await MeasureAsync(isOverlapped: false, counts: run > 0, cancellationToken);
            }
        }
        finally
        {
            source.StandardInput.Close();
            await source.WaitForExitAsync(CancellationToken.None);
        }

        var (whole, apart) = (Median(_whole), Median(_pull) + Median(_update));
        var line = string.Create(
            CultureInfo.InvariantCulture,
            $"{_model.Bytes / 1e9,5:0.0} GB, {devices.Length} x {(devices[0].IsHost ? "host" : "GPU")}, from another process, pulled while updated: {whole:0.00} s ({_whole.Min():0.00} to {_whole.Max():0.00}), {whole / Median(_longest):0.00} x its longest stage; pulled, then updated: {Median(_pull):0.00} + {Median(_update):0.00} s, {apart / whole:0.00} x as long; {_stages}");
        var name = string.Create(CultureInfo.InvariantCulture, $"update/end-to-end/{_model.Bytes >> 20}MiB/{devices.Length}x{(devices[0].IsHost ? "host" : "GPU")}/pulled-first");
        return new UpdateRow(line, [UpdateRow.Against(name, _whole.Select(seconds => _model.Bytes / seconds), _pull.Zip(_update, (pull, update) => _model.Bytes / (pull + update)))]);
    }

    public void Dispose() => _folder.Dispose();

    private static long NodeBytes(long size) => size + (size / 2) + (128L << 20);

    private async Task MeasureAsync(bool isOverlapped, bool counts, CancellationToken cancellationToken)
    {
        var number = _nodes++;
        await using var node = await PeerNode.StartAsync(
            new NodeOptions
            {
                Name = $"consumer-{number}",
                Trackers = [_tracker],
                DataDirectory = _folder[$"node-{number}"],
                ArenaRoot = _folder.Path,
                MemoryBytes = NodeBytes(size),
                DiskBytes = 0,
                Paths = [PathNames.Tcp],
                Ephemeral = true,
            },
            TimeProvider.System, NullLoggerFactory.Instance, cancellationToken);
        await UpdateAsync(node, UpdateSource.CheckpointOf("warmup"), null, cancellationToken);
        var checkpoint = UpdateSource.CheckpointOf("model");
        var pull = Stopwatch.StartNew();
        if (!isOverlapped)
        {
            RequireAllFetched((await node.PullAsync(new CheckpointPullRequest(checkpoint, Folder: null), null, cancellationToken)).Transfer);
        }

        var pulled = pull.Elapsed.TotalSeconds;
        var (seconds, report) = await UpdateAsync(node, checkpoint, counts ? null : _model, cancellationToken);
        if (isOverlapped)
        {
            RequireAllFetched(report.Pull);
        }

        if (!counts)
        {
            return;
        }

        if (isOverlapped)
        {
            _whole.Add(seconds);
            _longest.Add(report.Limit().Busy.TotalSeconds);
            _stages = string.Join(", ", report.Stages.Select(stage => string.Create(CultureInfo.InvariantCulture, $"{stage.Name} busy {stage.Busy.TotalSeconds:0.00} s")));
        }
        else
        {
            _pull.Add(pulled);
            _update.Add(seconds);
        }
    }

    /// <exception cref="BenchException">The node had some of it before.</exception>
    private void RequireAllFetched(PullReport? pull)
    {
        if (pull is null || pull.BytesFetched < _model.Bytes)
        {
            throw new BenchException($"only {pull?.BytesFetched ?? 0} of {_model.Bytes} bytes were pulled: the consumer was not empty, and this would measure something else");
        }
    }

    /// <param name="model">Its bytes are compared with what the engines loaded; null to leave that out.</param>
    private async Task<(double Seconds, UpdateReport Report)> UpdateAsync(PeerNode node, string checkpoint, BenchModel? model, CancellationToken cancellationToken)
    {
        await using var engine = new ChildEngine(devices, Math.Max(request.SlotBytes, 1L << 30), model);
        await engine.ReadyAsync(cancellationToken);
        var watch = Stopwatch.StartNew();
        var report = await node.UpdateAsync(request with { Checkpoint = checkpoint }, [engine], null, cancellationToken);
        return report.IsComplete() ? (watch.Elapsed.TotalSeconds, report) : throw new BenchException($"the update failed: {report.Failure?.Message ?? report.Engines[0].Reason}");
    }

    private static double Median(List<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }
}
