using System.Collections.Concurrent;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Eviction;

/// <summary>Shards that must stay, or must stay once they come. A shard may be pinned several times.</summary>
internal sealed class PinTable
{
    private readonly ConcurrentDictionary<Digest, int> _pins = new();

    /// <summary>Distinct shards pinned.</summary>
    public int Count => _pins.Count;

    public bool IsPinned(Digest digest) => _pins.ContainsKey(digest);

    /// <summary>Pins until the result is disposed; disposing twice is fine.</summary>
    public IDisposable Pin(IEnumerable<Digest> shards)
    {
        Digest[] pinned = [.. shards];
        foreach (var digest in pinned)
        {
            _pins.AddOrUpdate(digest, 1, static (_, count) => count + 1);
        }

        return new Pins(this, pinned);
    }

    private void Unpin(Digest digest)
    {
        // Taking the last pin away must not lose one that is added in the same moment, so both go by compare-and-swap.
        while (_pins.TryGetValue(digest, out var count))
        {
            if (count == 1 ? _pins.TryRemove(KeyValuePair.Create(digest, 1)) : _pins.TryUpdate(digest, count - 1, count))
            {
                return;
            }
        }
    }

    private sealed class Pins(PinTable table, Digest[] pinned) : IDisposable
    {
        private Digest[]? _pinned = pinned;

        public void Dispose()
        {
            foreach (var digest in Interlocked.Exchange(ref _pinned, null) ?? [])
            {
                table.Unpin(digest);
            }
        }
    }
}
