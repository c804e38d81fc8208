using Microsoft.Extensions.Logging;
using P2PWeights.Client.Catalog;
using P2PWeights.Client.Engines;
using P2PWeights.Client.Pulling;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Client.Updating.Pipeline;
using P2PWeights.Client.Updating.Verifying;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Updating;

/// <summary>
/// Brings checkpoints into running engines: catalog -> manifest -> plan -> pull and pipeline beside each other. One update at a time, because two would fight for the same
/// GPU memory and links. The arena is registered with the GPUs at the first update, which takes a while, and stays registered.
/// </summary>
internal sealed class Updater(ShardStore store, Puller puller, CheckpointCatalog catalog, string slotRoot, TimeProvider time, ILogger log) : IAsyncDisposable
{
    /// <summary>For devices to open, with all that comes before the first copy, beside the arena.</summary>
    private static readonly TimeSpan OpeningTimeout = TimeSpan.FromMinutes(5);

    /// <summary>Bytes of the arena that are registered in a second, at the first update: a third of the least that was seen.</summary>
    private const double RegisteredPerSecond = 1e9;

    /// <summary>For a driver that has not come back when the node stops.</summary>
    private static readonly TimeSpan ClosingTimeout = TimeSpan.FromSeconds(5);

    private readonly SemaphoreSlim _turn = new(1);
    private readonly ArenaRegistration _arenaOnGpus = new(store, log);
    private readonly DriverCalls _gpuCalls = new(time);
    private readonly DriverCalls _hostCalls = new(time);
    private CudaUpdateDevices? _gpus;

    /// <summary>
    /// Updates engines. The report says what became of each, also when the update was cancelled or broke off for all; an exception comes only before any engine was asked.
    /// </summary>
    /// <param name="engines">Stay owned by the caller.</param>
    /// <exception cref="OperationCanceledException">It was cancelled before it was planned: no engine was asked.</exception>
    /// <exception cref="NodeException">Another update runs and the request does not wait, or the checkpoint or the GPUs do not allow it.</exception>
    public async Task<UpdateReport> UpdateAsync(UpdateRequest request, IReadOnlyList<IEngine> engines, IProgress<UpdateProgress>? progress, CancellationToken cancellationToken)
    {
        if (!await _turn.WaitAsync(TimeSpan.Zero, cancellationToken).ConfigureAwait(false))
        {
            if (!request.Wait)
            {
                throw new NodeException(NodeError.NotAllowed, "this node is updating engines already: ask again when it is done, or ask with --wait");
            }

            progress?.Report(new UpdateProgress(0, 0, 0, null));
            await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        }

        try
        {
            return await UpdateAloneAsync(request, engines, progress, cancellationToken).ConfigureAwait(false);
        }
        catch (UpdateException failure)
        {
            // Before any engine was asked: later failures are in the report.
            throw new NodeException(NodeError.Failed, $"{failure.Message}; no engine was changed", failure);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        _turn.Dispose();
        await _hostCalls.WaitAsync(ClosingTimeout).ConfigureAwait(false);
        if (await _gpuCalls.WaitAsync(ClosingTimeout).ConfigureAwait(false))
        {
            _arenaOnGpus.Dispose();
            _gpus?.Dispose();
        }
    }

    private async Task<UpdateReport> UpdateAloneAsync(
        UpdateRequest request, IReadOnlyList<IEngine> engines, IProgress<UpdateProgress>? progress, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var checkpoint = await catalog.FindAsync(CheckpointCatalog.Parse(request.Checkpoint), cancellationToken).ConfigureAwait(false);
        var manifest = await catalog.ManifestAsync(checkpoint, cancellationToken).ConfigureAwait(false);
        var name = CheckpointCatalog.NameOf(checkpoint);

        // From here on, so that nothing is evicted between its arrival and its use.
        using var pin = store.Pin(manifest.Shards.Select(shard => shard.Digest));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var pulling = new TaskCompletionSource<PullReport>();
        using var feed = new ShardFeed(store, manifest, pulling.Task);
        var devices = DevicesOf(engines);
        var calls = devices == _gpus ? _gpuCalls : _hostCalls;
        var opening = OpeningTimeout + TimeSpan.FromSeconds((store.Arena is null ? 0 : store.Regions[0].Length) / RegisteredPerSecond);
        var session = await calls.RunAsync(
            "open",
            () => new UpdateSession(new UpdateContext(name, manifest, engines, devices, store.Arena, feed.TakeAsync, request, time, log)),
            late: static opened => opened.TakeDown(),
            calls.IsLate ? request.DeviceTimeout : opening,
            cancellationToken).ConfigureAwait(false);
        UpdateReport report;
        try
        {
            var (plan, wanted) = (session.Plan, session.Map.InOrderOfNeed(session.Plan));
            NodeLog.UpdateStarted(log, name, engines.Count, session.Devices, plan.TensorBytes, plan.Buckets.Length, plan.Slots.Count, plan.Slots.SlotBytes);
            var landed = 0;
            var watch = new PullWatch();
            PullProgress? pulled = null;
            void Show() => progress?.Report(new UpdateProgress(Volatile.Read(ref landed), plan.Buckets.Length, plan.TensorBytes, Volatile.Read(ref pulled)));

            // First of all: what has to come from afar comes while memory is registered and slots are made.
            var pull = puller.PullInOrderAsync(name, manifest, wanted, 2 * plan.Slots.SlotBytes, watch, new ProgressRelay<PullProgress>(seen =>
            {
                Volatile.Write(ref pulled, seen);
                Show();
            }), stop.Token);
            _ = pull.ContinueWith(ended => pulling.TrySetFromTask(ended), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            Exception? failure = null;
            var prepared = TimeSpan.Zero;
            try
            {
                var (exchange, filler) = await calls.RunAsync(
                    "make room for the slots", () => Prepare(session, devices), late: static _ => { }, opening, cancellationToken).ConfigureAwait(false);
                prepared = time.GetElapsedTime(started);
                await session.RunAsync(exchange, filler, new ProgressRelay<int>(buckets =>
                {
                    Volatile.Write(ref landed, buckets);
                    Show();
                }), cancellationToken).ConfigureAwait(false);
            }
            catch (Exception caught)
            {
                failure = caught;
            }

            // A pull that nobody waits for any more is ended; one that has brought everything ends by itself.
            if (failure is not null || Volatile.Read(ref landed) < plan.Buckets.Length)
            {
                await stop.CancelAsync().ConfigureAwait(false);
            }

            await ((Task)pull).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            report = Report(name, manifest, session, request, watch.Report, prepared, time.GetElapsedTime(started));
            NodeLog.UpdateDone(log, name, report.Engines.Count(engine => engine.State == EngineStates.Updated), engines.Count, report.Elapsed.TotalSeconds, report.Limit().Name);
            foreach (var engine in report.Engines.Where(engine => engine.State != EngineStates.Updated))
            {
                NodeLog.EngineNotUpdated(log, engine.Name, engine.State, name, engine.Reason);
            }

            if (failure is OperationCanceledException && cancellationToken.IsCancellationRequested)
            {
                // When every engine had ended before, it came too late to change anything.
                report = report with { Cancelled = !report.IsComplete() };
            }
            else if (failure is not null)
            {
                NodeLog.UpdateBrokeOff(log, name, failure);
                report = report with { Failure = FailureOf(failure) };
            }
        }
        finally
        {
            await EndAsync(session, calls, request.DeviceTimeout).ConfigureAwait(false);
        }

        if (report.Cancelled || report.Failure is not null)
        {
            return report;
        }

        // When the slots are gone: an engine needs memory of its own to read back.
        return request.Verify ? await VerifyAsync(report, engines, session, new TensorHasher(session.Map, feed.TakeAsync), progress, cancellationToken).ConfigureAwait(false) : report;
    }

    private (IExchange Exchange, SliceFiller Filler) Prepare(UpdateSession session, IUpdateDevices devices)
    {
        if (devices == _gpus && !_arenaOnGpus.TryRegister(devices))
        {
            session.StageAll();
        }

        return (session.Prepare(out var filler), filler);
    }

    /// <summary>Lets go of the engines, then of the devices, which are not waited for when a call of before is still at work.</summary>
    private async ValueTask EndAsync(UpdateSession session, DriverCalls calls, TimeSpan deadline)
    {
        try
        {
            await session.EndEnginesAsync().ConfigureAwait(false);
        }
        finally
        {
            if (!await calls.EndAsync(session.TakeDown, calls.IsIdle ? deadline : TimeSpan.Zero).ConfigureAwait(false))
            {
                NodeLog.DevicesNotFreed(log);
            }
        }
    }

    /// <summary>Has the engines that were updated read back what they hold.</summary>
    private async Task<UpdateReport> VerifyAsync(
        UpdateReport report, IReadOnlyList<IEngine> engines, UpdateSession session, TensorHasher hasher, IProgress<UpdateProgress>? progress, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var verifier = new EngineVerifier(
            session.Plan, hasher, new ProgressRelay<int>(buckets => progress?.Report(new UpdateProgress(report.Buckets, report.Buckets, report.Bytes, null, buckets))));
        List<int> updated = [.. Enumerable.Range(0, engines.Count).Where(index => report.Engines[index].State == EngineStates.Updated)];
        IReadOnlyList<EngineVerification> found;
        try
        {
            found = await verifier.RunAsync([.. updated.Select(index => engines[index])], cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            return report with { Cancelled = true };
        }

        EngineReport[] verified = [.. report.Engines];
        foreach (var (index, verification) in updated.Zip(found))
        {
            verified[index] = verified[index] with { Verification = verification };
        }

        report = report with { Engines = verified, VerifyElapsed = time.GetElapsedTime(started) };
        NodeLog.UpdateVerified(log, report.Checkpoint, found.Count(one => one.Outcome == VerificationOutcomes.Verified), engines.Count, report.VerifyElapsed.Value.TotalSeconds);
        return report;
    }

    private IUpdateDevices DevicesOf(IReadOnlyList<IEngine> engines)
    {
        var kinds = engines.SelectMany(engine => engine.Devices).Select(device => device.IsHost).Distinct().ToList();
        if (kinds is not [var isHost])
        {
            throw new UpdateException(kinds.Count == 0 ? "no engine to update" : "some engines have their weights on GPUs and some in the host's memory: update them one after another");
        }

        if (isHost)
        {
            return new HostDevices(slotRoot);
        }

        _gpus ??= new CudaUpdateDevices();
        return _gpus;
    }

    private static UpdateReport Report(
        string name, Manifest manifest, UpdateSession session, UpdateRequest request, PullReport? pull, TimeSpan prepared, TimeSpan elapsed)
    {
        var pulled = pull?.BytesFetched > 0 ? pull : null;
        UpdateStage[] stages =
        [
            new(UpdateStages.Prepare, prepared), .. pulled is null ? [] : new UpdateStage[] { new(UpdateStages.Pull, pulled.Elapsed) }, .. session.Stages,
        ];
        var plan = session.Plan;
        return new UpdateReport(
            name, manifest.Digest, plan.TensorBytes, plan.Tensors, plan.Buckets.Length, plan.Slots.SlotBytes, plan.Slots.Count, session.Devices, request.Broadcast, elapsed, stages,
            session.Engines, pulled);
    }

    private static UpdateFailure FailureOf(Exception failure) =>
        NodeFailure.TryTranslate(failure, out var known) ? new UpdateFailure(known.Error, known.Message) : new UpdateFailure(NodeError.Failed, failure.Message);
}
