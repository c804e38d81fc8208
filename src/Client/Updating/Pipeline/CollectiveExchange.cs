using System.Runtime.CompilerServices;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>One collective operation per bucket over all devices. The failure of one device is the failure of the update: it is the price of a collective.</summary>
internal sealed class CollectiveExchange(ICollective collective, StageMeter meter, TimeSpan deadline, TimeProvider time) : IExchange
{
    private readonly ConditionalWeakTable<BucketFlight, Task> _operations = [];
    private readonly Lock _gate = new();

    public Task ExchangeAsync(BucketFlight flight, DeviceLane lane, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            return _operations.GetValue(flight, key => GatherAsync(key, cancellationToken));
        }
    }

    public void Dispose() => collective.Dispose();

    private async Task GatherAsync(BucketFlight flight, CancellationToken cancellationToken)
    {
        try
        {
            await Task.WhenAll(flight.Fills).WaitAsync(cancellationToken).ConfigureAwait(false);
            using var busy = meter.Enter();
            await collective.GatherAsync(flight.SlotOffset, flight.Bucket.SliceBytes(flight.Lanes.Length)).WaitAsync(deadline, time, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is DeviceFailedException or NativeException or TimeoutException)
        {
            collective.Abort();
            throw new UpdateException(
                $"a GPU failed during a collective operation, which takes all with it ({failure.Message}): with --broadcast peer the others would have gone on", failure);
        }
    }
}
