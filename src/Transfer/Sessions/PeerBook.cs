using Microsoft.Extensions.Logging;
using P2PWeights.Transfer.Choosing;

namespace P2PWeights.Transfer.Sessions;

/// <summary>
/// What this node remembers of each peer it talked to: the paths to it and what came by each, and whether it is banned. A node that runs for months meets ever new ones, so it forgets those that it has
/// not dealt with for longest, beyond a limit; never one that it is connected to, or whose ban lasts. Thread-safe.
/// </summary>
internal sealed class PeerBook(TransferOptions options, TransferMetrics metrics, TimeProvider time, ILogger log)
{
    /// <summary>Peers remembered, a few KB each; more only when that many are connected or banned.</summary>
    public const int Limit = 4096;

    private readonly Lock _gate = new();
    private readonly Dictionary<Guid, Entry> _entries = [];
    private int _forgetAt = Limit;
    private long _uses;

    /// <summary>State of all peers talked to, and not forgotten.</summary>
    public IReadOnlyList<PeerStatus> Statuses
    {
        get
        {
            List<Entry> met;
            lock (_gate)
            {
                met = [.. _entries.Values.Where(entry => entry.IsMet)];
            }

            return [.. met.Select(Describe)];
        }
    }

    /// <summary>A session with the peer came up. It counts until <see cref="SessionClosed"/>, which its owner calls once: the next one may be up before the last one is quite down.</summary>
    public void SessionOpened(PeerInfo peer)
    {
        lock (_gate)
        {
            var entry = Open(peer);
            entry.Sessions++;
            entry.IsMet = true;
        }
    }

    /// <summary>A session that came up is down.</summary>
    public void SessionClosed(PeerInfo peer)
    {
        lock (_gate)
        {
            Open(peer).Sessions--;
        }
    }

    /// <summary>The paths to the peer, as long as it is remembered.</summary>
    public PeerPaths PathsOf(PeerInfo peer)
    {
        lock (_gate)
        {
            return Open(peer).Paths;
        }
    }

    /// <summary>Asks the peer nothing, and lets it in nowhere, for the ban time.</summary>
    public void Ban(PeerInfo peer, string reason)
    {
        var until = time.GetUtcNow() + options.BanTime;
        lock (_gate)
        {
            var entry = Open(peer);
            (entry.Banned, entry.BannedUntil, entry.IsMet) = (reason, until, true);
        }

        log.Banned(peer.Name, peer.Id, until, reason);
    }

    /// <summary>Why the peer is banned now, or null.</summary>
    public string? BanOf(Guid peer)
    {
        lock (_gate)
        {
            return _entries.TryGetValue(peer, out var entry) && time.GetUtcNow() < entry.BannedUntil ? entry.Banned : null;
        }
    }

    /// <summary>Under the lock.</summary>
    private Entry Open(PeerInfo peer)
    {
        if (!_entries.TryGetValue(peer.Id, out var entry))
        {
            Forget();
            entry = new Entry(peer, new PeerPaths(peer.Name, options.Paths, options.StallTimeout, metrics, time, log));
            _entries.Add(peer.Id, entry);
        }

        (entry.Peer, entry.LastUse) = (peer, ++_uses);
        return entry;
    }

    /// <summary>Makes room for a quarter of the limit at once, so that many newcomers cost one look at all. Under the lock.</summary>
    private void Forget()
    {
        if (_entries.Count < _forgetAt)
        {
            return;
        }

        var now = time.GetUtcNow();
        var idle = _entries.Where(entry => !entry.Value.Connected && now >= entry.Value.BannedUntil).OrderBy(entry => entry.Value.LastUse).Select(entry => entry.Key);
        foreach (var peer in idle.Take(_entries.Count - (Limit - (Limit / 4))).ToList())
        {
            _entries.Remove(peer);
        }

        _forgetAt = Math.Max(Limit, _entries.Count + (Limit / 4));
    }

    private PeerStatus Describe(Entry entry)
    {
        var paths = entry.Paths.Describe();
        var current = entry.Paths.Current;
        lock (_gate)
        {
            var banned = entry.Banned is not null && time.GetUtcNow() < entry.BannedUntil;
            return new PeerStatus(
                entry.Peer,
                entry.Connected,
                entry.Connected ? current : null,
                paths.Sum(path => path.Carried.Bytes),
                banned ? entry.Banned : null,
                banned ? entry.BannedUntil : null,
                paths);
        }
    }

    private sealed class Entry(PeerInfo peer, PeerPaths paths)
    {
        public PeerInfo Peer { get; set; } = peer;

        public PeerPaths Paths => paths;

        /// <summary>Grows with each use of the book.</summary>
        public long LastUse { get; set; }

        /// <summary>Whether it was ever talked to; a pull opens the book for everybody that it might ask.</summary>
        public bool IsMet { get; set; }

        /// <summary>Sessions that are up.</summary>
        public int Sessions { get; set; }

        public bool Connected => Sessions > 0;

        public string? Banned { get; set; }

        public DateTimeOffset BannedUntil { get; set; }
    }
}
