using System.Runtime.InteropServices;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Pulling;

/// <summary>The shards that some pull of this node is fetching now, so that two pulls at once fetch each shard once. Thread-safe.</summary>
internal sealed class FlightTable
{
    private readonly Lock _gate = new();

    /// <summary>With what the others wait for, once anybody waits.</summary>
    private readonly Dictionary<Digest, TaskCompletionSource?> _flights = [];

    /// <summary>Claims a shard for a pull.</summary>
    /// <returns>Null when it is claimed now, until <see cref="End"/>; else what ends when the pull that has it is through with it.</returns>
    public Task? TryBegin(Digest shard)
    {
        lock (_gate)
        {
            ref var flight = ref CollectionsMarshal.GetValueRefOrAddDefault(_flights, shard, out var isClaimed);
            if (!isClaimed)
            {
                return null;
            }

            flight ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return flight.Task;
        }
    }

    /// <summary>The pull that claimed the shard has it, or gives it up.</summary>
    public void End(Digest shard)
    {
        TaskCompletionSource? flight;
        lock (_gate)
        {
            _flights.Remove(shard, out flight);
        }

        flight?.SetResult();
    }
}
