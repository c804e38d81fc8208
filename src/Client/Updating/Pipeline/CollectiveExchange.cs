using System.Runtime.CompilerServices;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>One collective operation per bucket over all devices. The failure of one device is the failure of the update: it is the price of a collective.</summary>
/// <param name="lanes">All that the collective was made of, in its order.</param>
internal sealed class CollectiveExchange(ICollective collective, IReadOnlyList<DeviceLane> lanes, StageMeter meter, TimeSpan deadline, TimeProvider time) : IExchange
{
    private readonly ConditionalWeakTable<BucketFlight, Task> _operations = [];
    private readonly Lock _gate = new();
    private UpdateException? _failure;

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
        IReadOnlyList<Task>? parts = null;
        try
        {
            await Task.WhenAll(flight.Fills).WaitAsync(cancellationToken).ConfigureAwait(false);
            RefuseFewer(flight);
            using var busy = meter.Enter();

            // Once it is begun it is waited for even when the update is cancelled: it writes into slots that are freed then.
            await Task.Run(() => parts = collective.Gather(flight.SlotOffset, flight.Bucket.SliceBytes(flight.Lanes.Length)), CancellationToken.None).WaitAsync(deadline, time, CancellationToken.None)
                .ConfigureAwait(false);
            await Task.WhenAll(parts!).WaitAsync(deadline, time, CancellationToken.None).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is DeviceFailedException or NativeException or TimeoutException)
        {
            var first = Judge(parts, failure);

            // It may wait for a device that stopped, and nobody waits with it: what may still be written to is given up.
            await Task.Run(collective.Abort, CancellationToken.None).WaitAsync(deadline, time, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw first;
        }
    }

    /// <summary>Why the update ends: the first failure. It is judged before the collective is aborted, because that ends the operations of all devices.</summary>
    private UpdateException Judge(IReadOnlyList<Task>? parts, Exception failure)
    {
        lock (_gate)
        {
            if (_failure is not null)
            {
                // What the abort ended says nothing of its device; what did not end even so may still write.
                if (failure is TimeoutException)
                {
                    FailLate(parts);
                }

                return _failure;
            }

            var blamed = failure is DeviceFailedException ? Failed() : Blame(parts, failure);
            return _failure = new UpdateException(
                $"a GPU failed during a collective operation, which takes all with it ({blamed}): with --broadcast peer the others would have gone on", failure);
        }
    }

    /// <summary>The parts of fewer devices are larger, and all of them together would not end where the slot does.</summary>
    private void RefuseFewer(BucketFlight flight)
    {
        if (flight.Lanes.Length < lanes.Count)
        {
            throw new DeviceFailedException(Failed());
        }
    }

    private string Failed() => string.Join(", ", lanes.Where(lane => lane.Failure is not null).Select(lane => $"{lane.Device.Name} failed: {lane.Failure}"));

    /// <summary>Takes out every device whose part failed or did not end, because its copies may still run, and says which.</summary>
    private string Blame(IReadOnlyList<Task>? parts, Exception failure)
    {
        if (parts is null && failure is NativeException)
        {
            return failure.Message;
        }

        var failed = new List<string>();
        for (var index = 0; index < lanes.Count; index++)
        {
            if (parts?[index] is { IsFaulted: true } broken)
            {
                lanes[index].Fail(broken.Exception.InnerException!.Message);
                failed.Add($"{lanes[index].Device.Name}: {broken.Exception.InnerException.Message}");
            }
        }

        // Those that are late may only wait for the one that failed, or stopped.
        var late = FailLate(parts);
        return failed.Count > 0 ? string.Join(", ", failed)
            : $"{string.Join(", ", late)} did not end it within {deadline.TotalSeconds:0.#} s{(late.Count == lanes.Count && late.Count > 1 ? ", and which of them stopped a collective does not say" : "")}";
    }

    /// <summary>Takes out every device whose part did not end.</summary>
    /// <returns>Their names.</returns>
    private List<string> FailLate(IReadOnlyList<Task>? parts)
    {
        var late = lanes.Where((_, index) => parts?[index].IsCompleted != true).ToList();
        late.ForEach(lane => lane.Fail($"a collective operation did not end there within {deadline.TotalSeconds:0.#} s"));
        return [.. late.Select(lane => lane.Device.Name)];
    }
}
