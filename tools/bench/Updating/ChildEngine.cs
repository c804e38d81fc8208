using System.Collections.Immutable;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client.Engines;
using P2PWeights.Store.Hashing;

namespace P2PWeights.Bench.Updating;

/// <summary>An engine whose ranks are <see cref="EngineChild"/> processes, started anew for every update, before its clock starts.</summary>
internal sealed class ChildEngine : IEngine
{
    private readonly ImmutableArray<Rank> _ranks;

    /// <param name="largest">Most bytes of tensors that a bucket can have.</param>
    /// <param name="model">Its bytes are compared with what the ranks loaded; null to leave that out.</param>
    public ChildEngine(ImmutableArray<EngineDevice> devices, long largest, BenchModel? model)
    {
        Devices = devices;
        _ranks = [.. devices.Select(device => new Rank(device, largest, model))];
    }

    public string Name => "bench";

    public ImmutableArray<EngineDevice> Devices { get; }

    public ImmutableArray<IEngineChannel> BeginUpdate(string checkpoint) => [.. _ranks];

    public Task<ImmutableArray<ReadOnlyMemory<byte>>> HashAsync(ImmutableArray<string> tensors, CancellationToken cancellationToken) =>
        throw new EngineException(EngineError.NotSupported, "the engines of the benchmark keep one bucket only");

    /// <summary>Waits until every rank is as an engine that serves.</summary>
    public Task ReadyAsync(CancellationToken cancellationToken) => Task.WhenAll(_ranks.Select(rank => rank.ReadyAsync(cancellationToken)));

    public async ValueTask DisposeAsync()
    {
        foreach (var rank in _ranks)
        {
            await rank.DisposeAsync();
        }
    }

    private sealed class Rank : IEngineChannel
    {
        private readonly Process _process;
        private readonly BenchModel? _model;
        private bool _isDisposed;

        public Rank(EngineDevice device, long largest, BenchModel? model)
        {
            (Device, _model) = (device, model);
            _process = OwnProcess.Start(EngineChild.Name, device.Id, largest.ToString(CultureInfo.InvariantCulture));
        }

        public string Name => $"bench {Device}";

        public EngineDevice Device { get; }

        public async Task ReadyAsync(CancellationToken cancellationToken) => await ReadAsync(cancellationToken);

        public Task OpenAsync(SlotMemory memory, CancellationToken cancellationToken) => AskAsync(
            memory switch
            {
                CudaSlotMemory gpu => new { @do = "open", device = gpu.DeviceUuid, handle = Convert.ToHexString(gpu.IpcHandle.Span) },
                HostSlotMemory host => (object)new { @do = "open", path = host.Path, size = host.Size },
                _ => throw new UnreachableException(),
            },
            cancellationToken);

        public async Task LoadAsync(ImmutableArray<TensorRecord> tensors, CancellationToken cancellationToken)
        {
            var ranges = new long[2 * tensors.Length];
            for (var i = 0; i < tensors.Length; i++)
            {
                ranges[2 * i] = tensors[i].Offset;
                ranges[(2 * i) + 1] = tensors[i].Shape.Aggregate((long)EngineDType.Size(tensors[i].DType), (bytes, dimension) => bytes * dimension);
            }

            var answer = await AskAsync(new { @do = "load", ranges, verify = _model is not null }, cancellationToken);
            if (_model is not null && answer != Expected(_model, tensors, ranges))
            {
                throw new EngineException(EngineError.Raised, $"{Name} has other bytes than the checkpoint");
            }
        }

        public Task ReleaseAsync(CancellationToken cancellationToken) => AskAsync(new { @do = "release" }, cancellationToken);

        // Nothing follows the last bucket here; that the process ends, which takes a while with a GPU, is no part of an update.
        public Task FinishAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task AbortAsync(string reason)
        {
            if (!_process.HasExited)
            {
                _process.Kill();
            }

            return Task.CompletedTask;
        }

        public async ValueTask DisposeAsync()
        {
            if (!_isDisposed)
            {
                _isDisposed = true;
                await AbortAsync("the end");
                _process.Dispose();
            }
        }

        private async Task<string> AskAsync(object message, CancellationToken cancellationToken)
        {
            await _process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(message).AsMemory(), cancellationToken);
            await _process.StandardInput.FlushAsync(cancellationToken);
            return await ReadAsync(cancellationToken);
        }

        private async Task<string> ReadAsync(CancellationToken cancellationToken)
        {
            var line = await _process.StandardOutput.ReadLineAsync(cancellationToken) ?? throw new EngineException(EngineError.Died, $"{Name} went away");
            return JsonSerializer.Deserialize<string>(line)!;
        }

        private static string Expected(BenchModel model, ImmutableArray<TensorRecord> tensors, long[] ranges)
        {
            var offsets = model.Offsets;
            var bytes = new byte[checked((int)ranges.Where((_, index) => index % 2 == 1).Sum())];
            var at = 0;
            for (var i = 0; i < tensors.Length; i++)
            {
                model.Fill(offsets[tensors[i].Name], bytes.AsSpan(at, (int)ranges[(2 * i) + 1]));
                at += (int)ranges[(2 * i) + 1];
            }

            return Blake3.Hash(bytes).ToString();
        }
    }
}
