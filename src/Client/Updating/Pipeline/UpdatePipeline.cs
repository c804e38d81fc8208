using System.Collections.Immutable;
using System.Threading.Channels;
using P2PWeights.Store;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>
/// Carries out a plan: bucket after bucket takes the next free slot; its shards are leased, each device fills its slice, the devices exchange slices, every rank is told, and the
/// slot is free when all have answered. With several slots the stages of successive buckets overlap, because none of them waits here for another. One device or engine that
/// fails leaves the rest going; whatever ends the update, every rank has finished or was told, no copy runs, and every lease is back when <see cref="RunAsync"/> returns.
/// </summary>
internal sealed class UpdatePipeline : IDisposable
{
    private readonly UpdatePlan _plan;
    private readonly ShardMap _map;
    private readonly Func<int, CancellationToken, ValueTask<ShardLease>> _lease;
    private readonly ImmutableArray<DeviceLane> _lanes;
    private readonly ImmutableArray<EngineRun> _engines;
    private readonly SliceFiller _filler;
    private readonly IExchange _exchange;
    private readonly IProgress<int>? _progress;
    private readonly Channel<int> _freeSlots = Channel.CreateUnbounded<int>();
    private readonly List<Task> _landings = [];
    private readonly CancellationTokenSource _stop = new();
    private Exception? _failure;
    private int _landed;
    private int _launched;
    private int _keptSlots;

    /// <param name="lease">Waits for a shard of the manifest, by its ordinal, and leases it.</param>
    /// <param name="progress">Told how many buckets every engine has answered for.</param>
    public UpdatePipeline(
        UpdatePlan plan, ShardMap map, Func<int, CancellationToken, ValueTask<ShardLease>> lease, ImmutableArray<DeviceLane> lanes, ImmutableArray<EngineRun> engines,
        SliceFiller filler, IExchange exchange, IProgress<int>? progress)
    {
        (_plan, _map, _lease, _lanes, _engines, _filler, _exchange, _progress) = (plan, map, lease, lanes, engines, filler, exchange, progress);
        for (var slot = 0; slot < plan.Slots.Count; slot++)
        {
            _freeSlots.Writer.TryWrite(slot);
        }

        foreach (var engine in engines)
        {
            engine.HasFailed += StopWhenHopeless;
        }
    }

    private bool IsHopeless => _engines.All(engine => engine.Failure is not null);

    /// <summary>Brings all buckets to all engines. What became of each engine is in <see cref="EngineRun.Failure"/>, not in an exception.</summary>
    /// <exception cref="OperationCanceledException">The caller cancelled.</exception>
    /// <exception cref="Exception">What ended the update for all engines: shards that cannot be had, a collective that broke.</exception>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var cancelled = cancellationToken.Register(() => Fail(new OperationCanceledException(cancellationToken)));
        var ranks = _engines.SelectMany(engine => engine.Ranks).ToList();
        var running = Task.WhenAll(ranks.Select(rank => rank.RunAsync()));
        try
        {
            await FlyAllAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Why is in _failure, or in every engine's own.
        }
        catch (Exception failure)
        {
            Fail(failure);
        }
        finally
        {
            ranks.ForEach(rank => rank.Complete());
            await running.ConfigureAwait(false);
            await Task.WhenAll(_landings).ConfigureAwait(false);
        }

        if (_failure is not null)
        {
            throw _failure;
        }
    }

    public void Dispose() => _stop.Dispose();

    private async Task FlyAllAsync(CancellationToken cancellationToken)
    {
        // The next bucket's shards are waited for while this one waits for a slot.
        var next = LeaseAsync(_plan.Buckets[0], cancellationToken);
        try
        {
            for (var index = 0; index < _plan.Buckets.Length; index++)
            {
                var slot = await _freeSlots.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                cancellationToken.ThrowIfCancellationRequested();
                var leased = await next.ConfigureAwait(false);
                next = index + 1 < _plan.Buckets.Length ? LeaseAsync(_plan.Buckets[index + 1], cancellationToken) : Task.FromResult(Leased.None);
                Volatile.Write(ref _launched, index + 1);
                Launch(_plan.Buckets[index], slot, leased, cancellationToken);
            }
        }
        catch
        {
            await ReturnAsync(next).ConfigureAwait(false);
            throw;
        }
    }

    private void Launch(Bucket bucket, int slot, Leased leased, CancellationToken cancellationToken)
    {
        ImmutableArray<DeviceLane> lanes = [.. _lanes.Where(lane => lane.Failure is null)];
        var flight = new BucketFlight(bucket, leased.Pieces, slot * _plan.Slots.SlotBytes, lanes, leased.Leases);
        for (var i = 0; i < lanes.Length; i++)
        {
            flight.Fills[i] = _filler.FillAsync(lanes[i], flight, flight.SliceOf(lanes[i]), cancellationToken);
        }

        for (var i = 0; i < lanes.Length; i++)
        {
            flight.Arrivals[i] = ArriveAsync(flight, i, cancellationToken);
        }

        foreach (var rank in _engines.Where(engine => engine.Failure is null).SelectMany(engine => engine.Ranks))
        {
            rank.Give(flight);
        }

        flight.Answer(); // no further rank
        _landings.Add(LandAsync(flight, slot));
    }

    private async Task ArriveAsync(BucketFlight flight, int lane, CancellationToken cancellationToken)
    {
        try
        {
            await flight.Fills[lane].ConfigureAwait(false);
            await _exchange.ExchangeAsync(flight, flight.Lanes[lane], cancellationToken).ConfigureAwait(false);
        }
        catch (DeviceFailedException)
        {
            // The lane says so itself; what others need of it they get elsewhere.
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Every engine has been told by now.
        }
        catch (Exception failure)
        {
            Fail(failure);
        }
    }

    /// <summary>Gives leases and slot back when they are no longer needed.</summary>
    private async Task LandAsync(BucketFlight flight, int slot)
    {
        await Task.WhenAll(flight.Arrivals).ConfigureAwait(false);
        flight.ReturnLeases();
        await flight.Answered.ConfigureAwait(false);
        _progress?.Report(Interlocked.Increment(ref _landed));
        if (flight.SlotIsFree.IsCompleted)
        {
            _freeSlots.Writer.TryWrite(slot);
            return;
        }

        // Nobody waits for it: it may take for ever.
        _ = FreeLateAsync(flight, slot);
        if (Interlocked.Increment(ref _keptSlots) == _plan.Slots.Count && Volatile.Read(ref _launched) < _plan.Buckets.Length)
        {
            var stopped = string.Join(", ", _lanes.Where(lane => lane.Failure is not null).Select(lane => $"{lane.Device.Name}: {lane.Failure}"));
            Fail(new UpdateException($"every slot is kept by a copy that may still write into it ({stopped}): with more slots (--slots) the others would have gone on"));
        }
    }

    private async Task FreeLateAsync(BucketFlight flight, int slot)
    {
        await flight.SlotIsFree.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        Interlocked.Decrement(ref _keptSlots);
        _freeSlots.Writer.TryWrite(slot);
    }

    private async Task<Leased> LeaseAsync(Bucket bucket, CancellationToken cancellationToken)
    {
        var pieces = _map.Pieces(bucket);
        int[] ordinals = [.. pieces.Select(piece => piece.Ordinal).Distinct()];
        var leases = new Dictionary<int, ShardLease>(ordinals.Length);
        try
        {
            // In parallel: each may have to be hashed first.
            await Parallel.ForEachAsync(ordinals, cancellationToken, async (ordinal, token) =>
            {
                var lease = await _lease(ordinal, token).ConfigureAwait(false);
                lock (leases)
                {
                    leases.Add(ordinal, lease);
                }
            }).ConfigureAwait(false);
            return new Leased(pieces, leases);
        }
        catch
        {
            foreach (var lease in leases.Values)
            {
                lease.Dispose();
            }

            throw;
        }
    }

    private static async Task ReturnAsync(Task<Leased> leasing)
    {
        await ((Task)leasing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (leasing.IsCompletedSuccessfully)
        {
            foreach (var lease in leasing.Result.Leases.Values)
            {
                lease.Dispose();
            }
        }
    }

    /// <summary>Ends the update for every engine; the first reason stays.</summary>
    private void Fail(Exception failure)
    {
        if (Interlocked.CompareExchange(ref _failure, failure, null) is null)
        {
            foreach (var engine in _engines)
            {
                engine.GiveUp(failure is OperationCanceledException ? "the update was cancelled" : failure.Message);
            }

            _stop.Cancel();
        }
    }

    private void StopWhenHopeless()
    {
        if (IsHopeless)
        {
            _stop.Cancel();
        }
    }

    private sealed record Leased(ImmutableArray<ShardPiece> Pieces, Dictionary<int, ShardLease> Leases)
    {
        public static Leased None { get; } = new([], []);
    }
}
