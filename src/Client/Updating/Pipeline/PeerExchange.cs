using P2PWeights.Native;
using P2PWeights.Store;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>
/// Copies from device to device, each on a stream of its own. Whatever one device does, the others get their bytes: a slice that a failed device does not bring is copied
/// from the host instead. A copy into another device is given only once the slice lies on the first, so that a device which stalls while it is filled can never write into
/// another later, when the slot holds the next bucket; and between two devices one at a time, so that a device which stalls while it sends has begun few.
/// </summary>
/// <param name="lanes">All devices of the update, by their numbers.</param>
internal sealed class PeerExchange(SliceFiller filler, IReadOnlyList<DeviceLane> lanes, StageMeter meter, TimeSpan deadline) : IExchange
{
    private readonly Lock _blame = new();

    public Task ExchangeAsync(BucketFlight flight, DeviceLane lane, CancellationToken cancellationToken) =>
        Task.WhenAll(flight.Lanes.Where(other => other != lane).Select(other => TakeAsync(flight, other, lane, cancellationToken)));

    public void Dispose()
    {
    }

    private async Task TakeAsync(BucketFlight flight, DeviceLane from, DeviceLane to, CancellationToken cancellationToken)
    {
        var slice = flight.SliceOf(from);
        if (slice.Length > 0 && !await PassAsync(flight, from, to, slice, cancellationToken).ConfigureAwait(false))
        {
            // The other device is at fault, or the link is: this one is judged by its own copies.
            ThrowIfFailed(to);
            await filler.FillAsync(to, flight, slice, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>True when the device has the slice; false when it is to be taken from the host.</summary>
    private async Task<bool> PassAsync(BucketFlight flight, DeviceLane from, DeviceLane to, (long Start, long Length) slice, CancellationToken cancellationToken)
    {
        var line = from.To(to);
        try
        {
            await flight.Fills[flight.Lanes.IndexOf(from)].WaitAsync(cancellationToken).ConfigureAwait(false);
            await line.Turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (DeviceFailedException)
        {
            return false;
        }

        try
        {
            ThrowIfFailed(to);
            if (from.Failure is not null || line.IsBusy)
            {
                return false;
            }

            using var busy = meter.Enter();
            await line.CopyAsync(stream => stream.CopyTo(to.Device, flight.SlotOffset + slice.Start, slice.Length)).ConfigureAwait(false);
            return true;
        }
        catch (NativeException)
        {
            return false;
        }
        catch (TimeoutException)
        {
            // In its turn still: nothing more is given to a line that has stopped.
            ThrowIfReceiverIsAtFault(from, to);
            await LetProveAsync(flight, from, to, slice, cancellationToken).ConfigureAwait(false);
            return true;
        }
        finally
        {
            line.Turn.Release();
        }
    }

    /// <summary>Takes the device out that a copy goes to, when what else has stopped says that it holds the copy up.</summary>
    /// <exception cref="DeviceFailedException">It is out: the copy may still end there one day, when the slot holds other bytes.</exception>
    private void ThrowIfReceiverIsAtFault(DeviceLane from, DeviceLane to)
    {
        lock (_blame)
        {
            ThrowIfFailed(to);
            if (from.Failure is null && StallJudge.IsReceiverAtFault(from.Index, to.Index, lanes.Count, Quiet, deadline))
            {
                to.Fail($"a copy from {from.Device.Name} did not end within {deadline.TotalSeconds:0.#} s");
                ThrowIfFailed(to);
            }
        }
    }

    /// <summary>Has a device prove itself by taking from the host what did not come in time, and takes the one out that did not send it, unless the copy has ended meanwhile.</summary>
    /// <exception cref="DeviceFailedException">The device did not.</exception>
    /// <exception cref="StoreException">A file could not be read any more.</exception>
    private async Task LetProveAsync(BucketFlight flight, DeviceLane from, DeviceLane to, (long Start, long Length) slice, CancellationToken cancellationToken)
    {
        var copy = from.To(to).Last;
        try
        {
            await filler.FillAsync(to, flight, slice, cancellationToken).ConfigureAwait(false);
            lock (_blame)
            {
                // Taken out meanwhile, for a copy the other way: a link that hangs costs one of its ends.
                ThrowIfFailed(to);
                if (!copy.IsCompleted)
                {
                    from.Fail($"a copy to {to.Device.Name} did not end within {deadline.TotalSeconds:0.#} s");
                }
            }
        }
        finally
        {
            if (to.Failure is null)
            {
                flight.KeepSlot(copy);
            }
        }
    }

    private TimeSpan Quiet(int from, int to) => lanes[from].Failure is null && lanes[to].Failure is null ? lanes[from].QuietTo(lanes[to]) : TimeSpan.Zero;

    private static void ThrowIfFailed(DeviceLane lane)
    {
        if (lane.Failure is { } reason)
        {
            throw new DeviceFailedException(reason);
        }
    }
}
