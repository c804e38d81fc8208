using P2PWeights.Native;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>
/// Copies from device to device, each on a stream of its own. Whatever one device does, the others get their bytes: a slice that a failed device does not bring is copied
/// from the host instead. A copy into another device is given only once the slice lies on the first, so that a device which stalls while it is filled can never write into
/// another later, when the slot holds the next bucket.
/// </summary>
internal sealed class PeerExchange(SliceFiller filler, StageMeter meter, TimeSpan deadline, TimeProvider time) : IExchange
{
    public Task ExchangeAsync(BucketFlight flight, DeviceLane lane, CancellationToken cancellationToken) =>
        Task.WhenAll(flight.Lanes.Where(other => other != lane).Select(other => TakeAsync(flight, other, lane, cancellationToken)));

    public void Dispose()
    {
    }

    private async Task TakeAsync(BucketFlight flight, DeviceLane from, DeviceLane to, CancellationToken cancellationToken)
    {
        var slice = flight.SliceOf(from);
        if (slice.Length == 0)
        {
            return;
        }

        try
        {
            await flight.Fills[flight.Lanes.IndexOf(from)].WaitAsync(cancellationToken).ConfigureAwait(false);
            using var busy = meter.Enter();
            var stream = from.To(to);
            stream.CopyTo(to.Device, flight.SlotOffset + slice.Start, slice.Length);
            await stream.MarkAsync().WaitAsync(deadline, time, cancellationToken).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // It may still end one day, and would then write over what the slot holds by that time: the device cannot be trusted any more.
            var reason = $"a copy from {from.Device.Name} did not end within {deadline.TotalSeconds:0.#} s";
            to.Fail(reason);
            throw new DeviceFailedException(reason);
        }
        catch (Exception failure) when (failure is DeviceFailedException or NativeException)
        {
            // The other device is at fault, or the link is: this one is judged by its own copies.
            await filler.FillAsync(to, flight, slice, cancellationToken).ConfigureAwait(false);
        }
    }
}
