using System.Threading.Channels;
using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>One rank of an engine: hands it the buckets one after another, as they arrive on its device, and gives each answer on. However it ends, every bucket given to it is answered.</summary>
internal sealed class EngineRank(EngineRun engine, IEngineChannel channel, DeviceLane lane, EngineMeters meters) : IAsyncDisposable
{
    private readonly Channel<BucketFlight> _buckets = Channel.CreateUnbounded<BucketFlight>(new UnboundedChannelOptions { SingleReader = true });

    /// <summary>Its device, as the engine calls it.</summary>
    public string Device => channel.Device.Id;

    /// <summary>Buckets that it was told of.</summary>
    public int Told { get; private set; }

    /// <summary>Buckets that it said it has loaded.</summary>
    public int Loaded { get; private set; }

    /// <summary>Gives it a bucket, which it is told of when it has arrived.</summary>
    public void Give(BucketFlight flight)
    {
        flight.ExpectAnswer();
        _buckets.Writer.TryWrite(flight);
    }

    /// <summary>No bucket follows.</summary>
    public void Complete() => _buckets.Writer.TryComplete();

    /// <summary>Ends when the rank is done, or has failed and was told so; never throws for what the engine does.</summary>
    public async Task RunAsync()
    {
        try
        {
            await UpdateAsync().ConfigureAwait(false);
            return;
        }
        catch (Exception failure)
        {
            // Whatever it was, the engine is not updated. The first reason stays: that of another rank, or of the caller, when this one was only cancelled.
            engine.Fail(failure.Message, (failure as EngineException)?.Traceback);
        }

        // Meanwhile nobody waits for it: its slots are of use to others.
        var told = channel.AbortAsync(engine.Failure ?? "the update was given up");
        await foreach (var flight in _buckets.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            flight.Answer();
        }

        await told.ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => channel.DisposeAsync();

    private async Task UpdateAsync()
    {
        using (meters.Open.Enter())
        {
            await channel.OpenAsync(lane.Memory, engine.Failed).ConfigureAwait(false);
        }

        await engine.OpenedAsync().ConfigureAwait(false);
        await foreach (var flight in _buckets.Reader.ReadAllAsync(engine.Failed).ConfigureAwait(false))
        {
            try
            {
                await LoadAsync(flight).ConfigureAwait(false);
            }
            finally
            {
                flight.Answer();
            }
        }

        using var busy = meters.Finish.Enter();
        await channel.ReleaseAsync(engine.Failed).ConfigureAwait(false);
        await channel.FinishAsync(engine.Failed).ConfigureAwait(false);
        engine.Finished();
    }

    private async Task LoadAsync(BucketFlight flight)
    {
        await flight.ArrivalAt(lane).WaitAsync(engine.Failed).ConfigureAwait(false);

        // An update that broke off ends its arrivals too, and what has arrived then is nothing to load.
        engine.Failed.ThrowIfCancellationRequested();
        if (lane.Failure is { } reason)
        {
            throw new DeviceFailedException($"{lane.Device.Name} failed: {reason}");
        }

        using var busy = meters.Load.Enter();
        Told++;
        await channel.LoadAsync(flight.Records, engine.Failed).ConfigureAwait(false);
        Loaded++;
    }
}
