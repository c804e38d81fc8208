using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Pulling;

/// <summary>The shards that some pull of this node is fetching now, so that two pulls at once fetch each shard once. Thread-safe.</summary>
internal sealed class FlightTable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<Digest, TaskCompletionSource> _flights = [];

    /// <summary>Claims a shard for a pull.</summary>
    /// <returns>Null when it is claimed now, until <see cref="End"/>; else what ends when the pull that has it is through with it.</returns>
    public Task? TryBegin(Digest shard)
    {
        lock (_gate)
        {
            if (_flights.TryGetValue(shard, out var other))
            {
                return other.Task;
            }

            _flights.Add(shard, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            return null;
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
