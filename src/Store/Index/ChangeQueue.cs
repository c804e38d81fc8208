using System.Collections.Concurrent;

namespace P2PWeights.Store.Index;

/// <summary>
/// Carries gains and losses from under the index's locks to the subscribers, in order: whoever waits for the news of one shard never hears
/// "lost" before "gained". Handlers run outside the index's locks, so they may ask the store anything.
/// </summary>
internal sealed class ChangeQueue
{
    private readonly ConcurrentQueue<ShardChange> _pending = new();
    private readonly Lock _raising = new();

    public event Action<ShardChange>? Changed;

    /// <summary>Adds a change; called under the lock of its stripe, which gives the order.</summary>
    public void Add(ShardChange change) => _pending.Enqueue(change);

    /// <summary>Raises what is pending. When another thread is doing so, waits for it: a change has been told before its maker goes on.</summary>
    public void Raise()
    {
        lock (_raising)
        {
            while (_pending.TryDequeue(out var change))
            {
                Changed?.Invoke(change);
            }
        }
    }
}
