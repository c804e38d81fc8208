using System.Collections.Immutable;
using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;
using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native.Cuda;
using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Bench.Updating;

/// <summary>
/// <c>bench update</c>: a checkpoint that lies in the memory tier into one engine process per device, every byte acknowledged, against what the links do alone, in turns, and on GPUs
/// against the bucket loop of checkpoint-engine. The first update of each kind compares every byte and does not count.
/// </summary>
internal static class UpdateBench
{
    private static readonly Option<long[]> Size = CommonOptions.Sizes("--size", "Bytes of the checkpoint.", "4GiB");
    private static readonly Option<long[]> Slot = CommonOptions.Sizes("--slot", "Bytes of a slot; each is measured.", "256MiB", "1GiB");
    private static readonly Option<int> Slots = new("--slots") { Description = "Slots per device. Default: 4.", DefaultValueFactory = _ => 4 };
    private static readonly Option<string> On = new("--on") { Description = "cuda or host. Default: cuda.", DefaultValueFactory = _ => "cuda" };
    private static readonly Option<int[]> Devices = new("--devices")
    {
        Description = "Numbers of devices to measure with. Default: 1 2.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [1, 2],
    };

    private static readonly Option<string[]> Broadcast = new("--broadcast")
    {
        Description = "peer, nccl. Default: peer.",
        AllowMultipleArgumentsPerToken = true,
        DefaultValueFactory = _ => [BroadcastModes.Peer],
    };

    private static readonly Option<long[]> FromPeer = new("--end-to-end")
    {
        Description = "Then, with checkpoints of these sizes, from a publisher in another process into engines, pulling meanwhile and pulling first. Default: none.",
        AllowMultipleArgumentsPerToken = true,
        CustomParser = Size.CustomParser,
        DefaultValueFactory = _ => [],
    };

    public static Command CreateCommand()
    {
        On.AcceptOnlyFromAmong("cuda", "host");
        Broadcast.AcceptOnlyFromAmong(BroadcastModes.Peer, BroadcastModes.Nccl);
        Devices.Validators.Add(result =>
        {
            if (result.Tokens.Any(token => int.TryParse(token.Value, CultureInfo.InvariantCulture, out var count) && count < 1))
            {
                result.AddError("--devices takes numbers from 1 on");
            }
        });
        Slots.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int>() < 1)
            {
                result.AddError("--slots must be at least 1");
            }
        });
        var command = new Command("update", "A checkpoint from the memory tier into engines on GPUs, or in the host's memory.") { Size, Slot, Slots, On, Devices, Broadcast, FromPeer };
        command.SetAction(async (arguments, token) =>
        {
            var rows = new List<UpdateRow>();
            var noLoop = IsCuda(arguments) ? await CheckpointEngineLoop.UnavailableAsync(token) : "it needs GPUs";
            if (noLoop is not null)
            {
                Info($"the loop of checkpoint-engine is left out: {noLoop}");
            }

            foreach (var size in arguments.GetValue(Size)!)
            {
                await MeasureAsync(arguments, size, noLoop is null, rows, token);
            }

            foreach (var size in arguments.GetValue(FromPeer)!)
            {
                await MeasureEndToEndAsync(arguments, size, rows, token);
            }

            if (arguments.GetValue(CommonOptions.Json))
            {
                FigureWriter.For(arguments).Write(rows.SelectMany(row => row.Figures));
                return 0;
            }

            Console.Out.WriteLine();
            rows.ForEach(row => Console.Out.WriteLine(row.Line));
            return 0;
        });
        return command;
    }

    private static bool IsCuda(ParseResult arguments) => arguments.GetValue(On) == "cuda";

    /// <summary>The numbers of devices that there are, and the devices.</summary>
    private static IEnumerable<ImmutableArray<EngineDevice>> Choices(ParseResult arguments)
    {
        var isCuda = IsCuda(arguments);
        foreach (var count in arguments.GetValue(Devices)!.Where(count => !isCuda || count <= CudaDevice.Count))
        {
            yield return [.. Enumerable.Range(0, count).Select(number => new EngineDevice(isCuda ? CudaDevice.Uuids[number] : $"host-{number}"))];
        }
    }

    private static async Task MeasureEndToEndAsync(ParseResult arguments, long size, List<UpdateRow> rows, CancellationToken cancellationToken)
    {
        SharedMemoryFolder.RequireFree(EndToEnd.SharedMemoryBytes(size));
        foreach (var chosen in Choices(arguments))
        {
            using var contest = new EndToEnd(chosen, size, new UpdateRequest("", []) { SlotBytes = arguments.GetValue(Slot)!.Max(), Slots = arguments.GetValue(Slots) });
            rows.Add(await contest.RunAsync(arguments.GetValue(CommonOptions.Runs), cancellationToken));
            Info(rows[^1].Line);
        }
    }

    private static async Task MeasureAsync(ParseResult arguments, long size, bool withLoop, List<UpdateRow> rows, CancellationToken cancellationToken)
    {
        // Shards have blocks of powers of two: up to half as much again as their bytes here.
        var memory = size + (size / 2) + (64 << 20);
        SharedMemoryFolder.RequireFree(memory);
        using var folder = new SharedMemoryFolder("-update");
        await using var store = await ShardStore.OpenAsync(
            new StoreOptions { DataDirectory = folder["data"], ArenaRoot = folder.Path, MemoryBytes = memory, DiskBytes = 0, Ephemeral = true },
            TimeProvider.System, NullLoggerFactory.Instance, cancellationToken);
        var watch = Stopwatch.StartNew();
        var model = BenchModel.Create(size);
        var manifest = await model.StoreAsync(store, cancellationToken);
        Info($"{size >> 20} MiB of random tensors hashed and stored in {watch.Elapsed.TotalSeconds:0.0} s");
        using IUpdateDevices devices = IsCuda(arguments) ? new CudaUpdateDevices() : new HostDevices(folder.Path);
        watch.Restart();
        using var registration = devices.Register(store.Regions[0].Address, store.Regions[0].Length);
        Info($"arena of {store.Regions[0].Length >> 20} MiB registered in {watch.Elapsed.TotalSeconds:0.0} s");
        if (withLoop && !CheckpointEngineLoop.HasRoomFor(model.Bytes))
        {
            withLoop = false;
            Info("the loop of checkpoint-engine is left out for this size: its ranks hold the checkpoint once more, and there is no memory for that");
        }

        foreach (var chosen in Choices(arguments))
        {
            var loop = withLoop ? await CheckpointEngineLoop.StartAsync(chosen.Length, model.Bytes, cancellationToken) : null;
            await using var ending = loop;
            foreach (var broadcast in arguments.GetValue(Broadcast)!.Where(mode => chosen.Length > 1 || mode == BroadcastModes.Peer))
            {
                foreach (var slot in arguments.GetValue(Slot)!)
                {
                    var request = new UpdateRequest("bench@v1", []) { Broadcast = broadcast, SlotBytes = slot, Slots = arguments.GetValue(Slots) };
                    var bench = new Contest(store, model, manifest, devices, chosen, request, loop);
                    rows.Add(await bench.RunAsync(arguments.GetValue(CommonOptions.Runs), cancellationToken));
                    Info(rows[^1].Line);
                }
            }
        }
    }

    private static void Info(string line) => Console.Error.WriteLine(line);

    /// <summary>One kind of update against the limits of the links it uses, and the loop of checkpoint-engine where there is one.</summary>
    private sealed class Contest(
        ShardStore store, BenchModel model, Manifest manifest, IUpdateDevices devices, ImmutableArray<EngineDevice> chosen, UpdateRequest request, CheckpointEngineLoop? loop)
    {
        private readonly bool _isCuda = !chosen[0].IsHost;
        private readonly List<double> _loop = [];
        private readonly List<double> _rates = [];
        private readonly List<double> _hostToDevice = [];
        private readonly List<double> _bestHostToDevice = [];
        private readonly List<double> _deviceToDevice = [];
        private string _stages = "";
        private UpdatePlan _plan = null!;

        public async Task<UpdateRow> RunAsync(int runs, CancellationToken cancellationToken)
        {
            for (var run = 0; run <= runs; run++)
            {
                var rate = await UpdateAsync(verify: run == 0, cancellationToken);
                var (host, peers) = Limits();
                if (run > 0)
                {
                    _rates.Add(rate);
                    _hostToDevice.Add(host.Median);
                    _bestHostToDevice.Add(host.Best);
                    _deviceToDevice.Add(peers);
                    if (loop is not null)
                    {
                        _loop.Add(await loop.UpdateAsync(cancellationToken));
                    }
                }
            }

            var (median, limit) = (Median(_rates), Median(_hostToDevice));
            var what = $"{chosen.Length} x {(_isCuda ? "GPU" : "host")}, {request.Broadcast}, {_plan.Slots.Count} slots of {_plan.Slots.SlotBytes >> 20} MiB";
            var rates = string.Create(CultureInfo.InvariantCulture, $"{median / 1e9:0.0} GB/s of model ({_rates.Min() / 1e9:0.0} to {_rates.Max() / 1e9:0.0})");
            var links = string.Create(CultureInfo.InvariantCulture, $", host to devices alone {limit / 1e9:0.0} (best pass {_bestHostToDevice.Max() / 1e9:0.0}), ratio {median / limit:0.000}, device to device {Median(_deviceToDevice) / 1e9:0.0}");
            var rival = loop is null ? "" : string.Create(CultureInfo.InvariantCulture, $", loop of checkpoint-engine {Median(_loop) / 1e9:0.0}, ours/loop {median / Median(_loop):0.00}");
            var line = string.Create(CultureInfo.InvariantCulture, $"{model.Bytes / 1e9,5:0.0} GB, {what}: {rates}{(_isCuda ? links : "")}{rival}; {_stages}");
            var name = string.Create(CultureInfo.InvariantCulture, $"update/{model.Bytes >> 20}MiB/{chosen.Length}x{(_isCuda ? "GPU" : "host")}/{request.Broadcast}/{request.SlotBytes >> 20}MiB-slots");
            return new UpdateRow(line, [.. Anchors(name)]);
        }

        private IEnumerable<Figure> Anchors(string name)
        {
            if (_isCuda)
            {
                yield return UpdateRow.Against($"{name}/links", _rates, _hostToDevice);
            }

            if (loop is not null)
            {
                yield return UpdateRow.Against($"{name}/loop", _rates, _loop);
            }
        }

        private async Task<double> UpdateAsync(bool verify, CancellationToken cancellationToken)
        {
            await using var engine = new ChildEngine(chosen, Math.Max(request.SlotBytes, 1L << 30), verify ? model : null);
            await engine.ReadyAsync(cancellationToken);
            var context = new UpdateContext("bench@v1", manifest, [engine], devices, store.Arena, LeaseAsync, request, TimeProvider.System, NullLogger.Instance);
            var session = new UpdateSession(context);
            await using (session)
            {
                _plan = session.Plan;
                var exchange = session.Prepare(out var filler);
                var watch = Stopwatch.StartNew();
                await session.RunAsync(exchange, filler, null, cancellationToken);
                var seconds = watch.Elapsed.TotalSeconds;
                if (session.Engines[0].Reason is { } reason)
                {
                    throw new BenchException($"the update failed: {reason}");
                }

                _stages = string.Join(", ", session.Stages.Select(stage => string.Create(CultureInfo.InvariantCulture, $"{stage.Name} busy {stage.Busy.TotalSeconds / seconds:P0}")));
                return model.Bytes / seconds;
            }
        }

        private async ValueTask<ShardLease> LeaseAsync(int ordinal, CancellationToken cancellationToken) =>
            await store.LeaseAsync(manifest.Shards[ordinal].Digest, cancellationToken) ?? throw new BenchException("a shard is gone from the memory tier");

        private ((double Median, double Best) HostToDevice, double DeviceToDevice) Limits()
        {
            if (!_isCuda)
            {
                return (default, 0);
            }

            using var limits = new GpuLimits(chosen.Length, store.Regions[0]);
            int[] all = [.. Enumerable.Range(0, chosen.Length)];
            return (limits.HostToDevice(all), chosen.Length > 1 ? limits.DeviceToDevice() : 0);
        }

        private static double Median(List<double> values)
        {
            var sorted = values.Order().ToArray();
            return sorted[sorted.Length / 2];
        }
    }
}
