using System.Collections.Immutable;
using System.Globalization;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Bench.Syncing;

/// <summary>
/// A peer of which there is nothing but its syncs: it pulls one manifest, gains some shards between two syncs, and starts over when it has them all.
/// One sync at a time, as a node does it.
/// </summary>
/// <param name="number">Tells the peers apart; they stand 16 to a rack, 64 racks to a zone.</param>
/// <param name="isPublisher">Holds everything and pulls nothing.</param>
internal sealed class SimulatedPeer(int number, Manifest manifest, bool isPublisher, Random random)
{
    private readonly PeerInfo _info = new(
        new Guid(number + 1, 0, 0, new byte[8]),
        string.Create(CultureInfo.InvariantCulture, $"node-{number:D5}"),
        [string.Create(CultureInfo.InvariantCulture, $"10.{number >> 16}.{number >> 8 & 255}.{number & 255}:7401")],
        string.Create(CultureInfo.InvariantCulture, $"host-{number:D5}"),
        ImmutableSortedDictionary<string, string>.Empty
            .Add("rack", string.Create(CultureInfo.InvariantCulture, $"r{number / 16}"))
            .Add("zone", string.Create(CultureInfo.InvariantCulture, $"z{number / 1024}")));

    private readonly byte[] _held = new byte[(manifest.Shards.Length + 7) / 8];

    /// <summary>Shards come in an order of its own: from a random one on, in steps of a random odd number, which meets each once when their count is a power of two.</summary>
    private readonly (int First, int Step) _order = (random.Next(manifest.Shards.Length), random.Next(manifest.Shards.Length) | 1);

    private long _sequence;
    private long _seen;
    private long _events;
    private int _gained;
    private bool _full = true;

    public int Number => number;

    /// <summary>The next sync.</summary>
    /// <param name="gain">Shards gained since the last.</param>
    /// <param name="restarted">The process started again: it says everything.</param>
    public SyncRequest Next(int gain, bool restarted)
    {
        _full |= restarted;
        var changed = _full || (gain > 0 && !isPublisher);
        if (isPublisher)
        {
            SetAll();
        }
        else
        {
            Gain(gain);
        }

        // Not a copy: it is encoded before the peer's next turn.
        ImmutableArray<SwarmHoldings> swarms = changed ? [new SwarmHoldings(manifest.Digest, _held)] : [];
        var done = (long)_gained * Manifest.DefaultMaxShardBytes;
        ImmutableArray<SwarmPull> pulls = isPublisher || gain == 0 ? [] : [new SwarmPull(manifest.Digest, _seen, done, manifest.TotalBytes, "tcp")];
        return new SyncRequest(_info, _sequence + 1, _full, Leaving: false, [], [], swarms, [], pulls, _events, 1_000_000_000);
    }

    /// <summary>The answer to it. True when it was taken.</summary>
    public bool Take(SyncResponse response)
    {
        _sequence++;
        _full = response.Resync;
        foreach (var view in response.Swarms)
        {
            _seen = view.Number;
        }

        foreach (var happened in response.Events)
        {
            _events = Math.Max(_events, happened.Number);
        }

        return !response.Resync && response.Unknown.IsEmpty;
    }

    private void Gain(int count)
    {
        if (count > 0 && _gained == manifest.Shards.Length)
        {
            Array.Clear(_held);
            _gained = 0;
        }

        for (var end = Math.Min(manifest.Shards.Length, _gained + count); _gained < end; _gained++)
        {
            var shard = (int)((_order.First + ((long)_gained * _order.Step)) % manifest.Shards.Length);
            _held[shard >> 3] |= (byte)(1 << (shard & 7));
        }
    }

    private void SetAll()
    {
        for (var i = 0; i < manifest.Shards.Length; i++)
        {
            _held[i >> 3] |= (byte)(1 << (i & 7));
        }
    }
}
