using P2PWeights.Client.Updating.Devices;
using P2PWeights.Native;
using P2PWeights.Store;

namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>
/// Brings a slice of a bucket from the store to a device: straight from the arena, which is registered with it, or through staging blocks. A device whose copies fail, or do not
/// end in time, is taken out of the update.
/// </summary>
/// <param name="arena">Where the arena is mapped; null without one.</param>
internal sealed class SliceFiller(ArenaInfo? arena, StageMeter meter, TimeSpan deadline)
{
    /// <summary>Completes when the slice is on the device.</summary>
    /// <exception cref="DeviceFailedException">The device failed.</exception>
    /// <exception cref="StoreException">A file could not be read any more.</exception>
    public async Task FillAsync(DeviceLane lane, BucketFlight flight, (long Start, long Length) slice, CancellationToken cancellationToken)
    {
        using var busy = meter.Enter();
        var copies = CopyPlanner.Plan(flight.Pieces.AsSpan(), slice.Start, slice.Length, ordinal => AddressOf(flight.LeaseOf(ordinal)) is not null);
        var direct = copies.Exists(copy => !copy.IsStaged)
            ? CopyAsync(lane, stream =>
            {
                foreach (var copy in copies.Where(copy => !copy.IsStaged))
                {
                    var piece = copy.Pieces[0];
                    stream.CopyIn(AddressOf(flight.LeaseOf(piece.Ordinal))!.Value + piece.Start, flight.SlotOffset + piece.SlotOffset, piece.Length);
                }
            })
            : Task.CompletedTask;
        await Task.WhenAll([direct, .. copies.Where(copy => copy.IsStaged).Select(copy => StageAsync(lane, flight, copy, cancellationToken))]).ConfigureAwait(false);
    }

    /// <summary>Fills a block and gives its copy to the device; the block goes back when the copy is done.</summary>
    private async Task StageAsync(DeviceLane lane, BucketFlight flight, PlannedCopy copy, CancellationToken cancellationToken)
    {
        var block = await lane.Staging.TakeAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            foreach (var piece in copy.Pieces)
            {
                var place = block.Memory.Slice((int)(piece.SlotOffset - copy.SlotOffset), piece.Length);
                await flight.LeaseOf(piece.Ordinal).ReadAsync(piece.Start, place, cancellationToken).ConfigureAwait(false);
            }
        }
        catch
        {
            block.Return();
            throw;
        }

        // A copy that never ends keeps its block: whoever filled it again would send other bytes after it.
        await CopyAsync(lane, stream => stream.CopyIn(block.Address, flight.SlotOffset + copy.SlotOffset, copy.Length)).ConfigureAwait(false);
        block.Return();
    }

    /// <summary>Copies into the device; one that fails at that, or does not end it in time, is taken out.</summary>
    private async Task CopyAsync(DeviceLane lane, Action<IDeviceStream> give)
    {
        try
        {
            await lane.In.CopyAsync(give).ConfigureAwait(false);
        }
        catch (NativeException failure)
        {
            lane.Fail(failure.Message);
            throw new DeviceFailedException(failure.Message, failure);
        }
        catch (TimeoutException)
        {
            var reason = $"a copy from host memory did not end within {deadline.TotalSeconds:0.#} s";
            lane.Fail(reason);
            throw new DeviceFailedException(reason);
        }
    }

    private nint? AddressOf(ShardLease lease) => arena is not null && lease.Tier == Tiers.Memory && !lease.IsBorrowed ? arena.Address + (nint)lease.Offset : null;
}
