using System.Collections.Immutable;
using Microsoft.Extensions.Logging;
using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Client.Updating.Pipeline;
using P2PWeights.Native;
using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Updating;

/// <summary>What one update works with.</summary>
/// <param name="Checkpoint"><c>name@version</c>.</param>
/// <param name="Engines">Stay owned by the caller.</param>
/// <param name="Devices">Reaches every device of the engines.</param>
/// <param name="Arena">The store's arena, registered with the devices; null without one.</param>
/// <param name="Lease">Waits for a shard of the manifest, by its ordinal, and leases it.</param>
internal sealed record UpdateContext(
    string Checkpoint, Manifest Manifest, IReadOnlyList<IEngine> Engines, IUpdateDevices Devices, ArenaInfo? Arena, Func<int, CancellationToken, ValueTask<ShardLease>> Lease,
    UpdateRequest Request, TimeProvider Time, ILogger Log);

/// <summary>
/// One update, from the plan to the end of the last engine: opens the devices, plans for their memory, runs the pipeline, and takes everything down, whatever happened.
/// </summary>
internal sealed class UpdateSession : IAsyncDisposable
{
    private const int StagingBlocksPerDevice = 8;

    private UpdateContext _context;
    private readonly StageMeter _copy;
    private readonly StageMeter _exchange;
    private readonly EngineMeters _engineMeters;
    private readonly List<IUpdateDevice> _opened = [];
    private readonly List<DeviceLane> _lanes = [];
    private readonly ImmutableArray<ImmutableArray<int>> _laneOfRank;
    private readonly List<EngineRun> _runs = [];
    private IExchange? _slices;

    /// <summary>Opens the devices and plans.</summary>
    /// <exception cref="UpdateException">A device is not to be reached, or the plan cannot be made.</exception>
    /// <exception cref="NativeException">A device failed.</exception>
    public UpdateSession(UpdateContext context)
    {
        _context = context;
        (_copy, _exchange) = (new StageMeter(context.Time), new StageMeter(context.Time));
        _engineMeters = new EngineMeters(new StageMeter(context.Time), new StageMeter(context.Time), new StageMeter(context.Time));
        try
        {
            _laneOfRank = OpenDevices();
            var request = context.Request;
            Map = new ShardMap(context.Manifest);
            Plan = BucketPlanner.Plan(
                context.Manifest.Tensors, [.. context.Manifest.Files.Select(file => file.Path)], _opened.Count, FreeBytes(),
                new UpdatePlanOptions { SlotBytes = request.SlotBytes, Slots = request.Slots, MemoryFraction = request.MemoryFraction });
        }
        catch
        {
            _opened.ForEach(device => device.Dispose());
            throw;
        }
    }

    public UpdatePlan Plan { get; }

    public ShardMap Map { get; }

    public int Devices => _opened.Count;

    /// <summary>How long each stage was at work.</summary>
    public IEnumerable<UpdateStage> Stages =>
    [
        new(UpdateStages.Open, _engineMeters.Open.Busy), new(UpdateStages.Copy, _copy.Busy), new(UpdateStages.Exchange, _exchange.Busy),
        new(UpdateStages.Load, _engineMeters.Load.Busy), new(UpdateStages.Finish, _engineMeters.Finish.Busy),
    ];

    /// <summary>What became of each engine, in the order given; those that were never asked count as untouched.</summary>
    public IReadOnlyList<EngineReport> Engines => [.. _runs.Select(Describe), .. _context.Engines.Skip(_runs.Count).Select(NeverAsked)];

    /// <summary>Has all bytes go through staging blocks: the devices cannot copy from the arena. Before <see cref="Prepare"/>.</summary>
    public void StageAll() => _context = _context with { Arena = null };

    /// <summary>Allocates the slots and whatever else an update needs before its first byte.</summary>
    /// <exception cref="UpdateException">There is no room, or the collective cannot be made.</exception>
    /// <exception cref="NativeException">A device failed.</exception>
    public IExchange Prepare(out SliceFiller filler)
    {
        for (var index = 0; index < _opened.Count; index++)
        {
            var staging = new StagingBlocks(_context.Devices, StagingBlocksPerDevice);
            try
            {
                _lanes.Add(new DeviceLane(index, _opened.Count, _opened[index], staging, Plan.Slots, _context.Request.DeviceTimeout, _context.Time));
            }
            catch
            {
                staging.Dispose();
                throw;
            }
        }

        var timeout = _context.Request.DeviceTimeout;
        filler = new SliceFiller(_context.Arena, _copy, timeout);
        return _slices = _context.Request.Broadcast switch
        {
            BroadcastModes.Peer => new PeerExchange(filler, _lanes, _exchange, timeout),
            BroadcastModes.Nccl => new CollectiveExchange(_context.Devices.OpenCollective(_opened), _lanes, _exchange, timeout, _context.Time),
            var other => throw new UpdateException($"'{other}' is no way to broadcast: {BroadcastModes.Peer} or {BroadcastModes.Nccl}"),
        };
    }

    /// <summary>Brings the checkpoint into the engines. See <see cref="UpdatePipeline.RunAsync"/> for what it throws.</summary>
    /// <param name="exchange">From <see cref="Prepare"/>.</param>
    public async Task RunAsync(IExchange exchange, SliceFiller filler, IProgress<int>? progress, CancellationToken cancellationToken)
    {
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            for (var index = 0; index < _context.Engines.Count; index++)
            {
                var engine = _context.Engines[index];
                _runs.Add(new EngineRun(engine.Name, engine.BeginUpdate(_context.Checkpoint), [.. _laneOfRank[index].Select(lane => _lanes[lane])], _engineMeters));
            }
        }
        catch (Exception failure)
        {
            _runs.ForEach(run => run.GiveUp(failure.Message));
            throw;
        }

        using var pipeline = new UpdatePipeline(Plan, Map, _context.Lease, [.. _lanes], [.. _runs], filler, exchange, progress);
        await pipeline.RunAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Ends the conversations with the engines, then <see cref="TakeDown"/>, whatever goes wrong in between.</summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await EndEnginesAsync().ConfigureAwait(false);
        }
        finally
        {
            TakeDown();
        }
    }

    /// <summary>Ends the conversations with the engines: they let go of the slots.</summary>
    public async ValueTask EndEnginesAsync()
    {
        foreach (var run in _runs)
        {
            await run.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Takes the exchange down and frees the devices' memory: after the engines, which have no part in it (communicators of NCCL take a third of a second). Calls the driver.</summary>
    public void TakeDown()
    {
        _slices?.Dispose();
        _lanes.ForEach(lane => lane.Settle(_lanes));
        _lanes.ForEach(lane => lane.Dispose());
        foreach (var device in _opened.Skip(_lanes.Count))
        {
            device.Dispose();
        }

        if (_lanes.Exists(lane => lane.Failure is not null))
        {
            NodeLog.MemoryGivenUp(
                _context.Log, string.Join(", ", _lanes.Where(lane => lane.Failure is not null).Select(lane => $"{lane.Device.Name} ({lane.Failure})")), GivenUpMemory.Bytes);
        }
    }

    /// <summary>One lane per GPU, however many ranks are on it; one per rank in the host's memory.</summary>
    private ImmutableArray<ImmutableArray<int>> OpenDevices()
    {
        var known = new Dictionary<string, int>(StringComparer.Ordinal);
        var ofRanks = ImmutableArray.CreateBuilder<ImmutableArray<int>>();
        foreach (var engine in _context.Engines)
        {
            ofRanks.Add([.. engine.Devices.Select(device => known.TryGetValue(device.Id, out var lane) && !device.IsHost ? lane : Add(device))]);
        }

        return ofRanks.ToImmutable();

        int Add(EngineDevice device)
        {
            _opened.Add(_context.Devices.Open(device));
            return known[device.Id] = _opened.Count - 1;
        }
    }

    /// <summary>Of the device that has least. Host devices all take from the same memory.</summary>
    private long FreeBytes() => _context.Engines[0].Devices[0].IsHost ? _opened[0].FreeBytes / _opened.Count : _opened.Min(device => device.FreeBytes);

    private EngineReport Describe(EngineRun run)
    {
        var state = run.Failure is null ? EngineStates.Updated : run.Ranks.Any(rank => rank.Told > 0) ? EngineStates.Torn : EngineStates.Untouched;
        return new EngineReport(run.Name, state, run.Failure, run.Traceback, [.. run.Ranks.Select(rank => new RankReport(rank.Device, rank.Loaded))]);
    }

    private static EngineReport NeverAsked(IEngine engine) =>
        new(engine.Name, EngineStates.Untouched, "the update ended before the engine was asked", null, [.. engine.Devices.Select(device => new RankReport(device.Id, 0))]);
}
