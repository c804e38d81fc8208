using System.Collections.Concurrent;
using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Updating;

/// <summary>Leases the shards of a manifest as they come into the store.</summary>
internal sealed class ShardFeed : IDisposable
{
    private readonly ShardStore _store;
    private readonly Manifest _manifest;
    private readonly Task _pull;
    private readonly ConcurrentDictionary<Digest, TaskCompletionSource> _awaited = new();

    /// <param name="pull">Ends when no more shards will come.</param>
    public ShardFeed(ShardStore store, Manifest manifest, Task pull)
    {
        (_store, _manifest, _pull) = (store, manifest, pull);
        _store.Changed += OnChanged;
    }

    /// <summary>Waits for a shard and leases it.</summary>
    /// <exception cref="Exception">What the pull failed with.</exception>
    /// <exception cref="StoreException">The shard came and is gone again.</exception>
    public async ValueTask<ShardLease> TakeAsync(int ordinal, CancellationToken cancellationToken)
    {
        var digest = _manifest.Shards[ordinal].Digest;
        while (true)
        {
            // Before the look, so that nothing that comes in between is missed.
            var isOver = _pull.IsCompleted;
            var arrival = _awaited.GetOrAdd(digest, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));

            // Not brought to memory: buckets are leased whole, several at a time, and a node whose shards are on a GPU may have memory for few of them.
            if (await _store.LeaseWhereItLiesAsync(digest, cancellationToken).ConfigureAwait(false) is { } lease)
            {
                _awaited.TryRemove(digest, out _);
                return lease;
            }

            if (isOver)
            {
                await _pull.ConfigureAwait(false);
                throw new StoreException(
                    StoreError.Full, $"shard {digest.ToShortString()} is no longer in the store, although it was: give the tiers more room (--memory, --disk), or update again", digest);
            }

            await Task.WhenAny(arrival.Task, _pull).WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    public void Dispose() => _store.Changed -= OnChanged;

    private void OnChanged(ShardChange change)
    {
        if (_awaited.TryRemove(change.Shard.Digest, out var waiting))
        {
            waiting.TrySetResult();
        }
    }
}
