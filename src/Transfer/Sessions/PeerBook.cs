using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using P2PWeights.Transfer.Choosing;

namespace P2PWeights.Transfer.Sessions;

/// <summary>What this node remembers of each peer it talked to: the paths to it and what came by each, and whether it is banned. Thread-safe.</summary>
internal sealed class PeerBook(TransferOptions options, TransferMetrics metrics, TimeProvider time, ILogger log)
{
    private readonly ConcurrentDictionary<Guid, Entry> _entries = new();

    /// <summary>State of all peers talked to.</summary>
    public IReadOnlyList<PeerStatus> Statuses => [.. _entries.Values.Where(entry => entry.IsMet).Select(Describe)];

    /// <summary>A session with the peer came up, or the last one went down.</summary>
    public void SetConnected(PeerInfo peer, bool connected)
    {
        var entry = Open(peer);
        lock (entry)
        {
            (entry.Connected, entry.IsMet) = (connected, true);
        }
    }

    /// <summary>The paths to the peer, as long as the node lives.</summary>
    public PeerPaths PathsOf(PeerInfo peer) => Open(peer).Paths;

    /// <summary>Asks the peer nothing, and lets it in nowhere, for the ban time.</summary>
    public void Ban(PeerInfo peer, string reason)
    {
        var entry = Open(peer);
        DateTimeOffset until;
        lock (entry)
        {
            until = time.GetUtcNow() + options.BanTime;
            (entry.Banned, entry.BannedUntil, entry.IsMet) = (reason, until, true);
        }

        log.Banned(peer.Name, peer.Id, until, reason);
    }

    /// <summary>Why the peer is banned now, or null.</summary>
    public string? BanOf(Guid peer)
    {
        if (!_entries.TryGetValue(peer, out var entry))
        {
            return null;
        }

        lock (entry)
        {
            return time.GetUtcNow() < entry.BannedUntil ? entry.Banned : null;
        }
    }

    private Entry Open(PeerInfo peer)
    {
        var entry = _entries.GetOrAdd(peer.Id, _ => new Entry(peer, new PeerPaths(peer.Name, options.Paths, options.StallTimeout, metrics, time, log)));
        entry.Peer = peer;
        return entry;
    }

    private PeerStatus Describe(Entry entry)
    {
        lock (entry)
        {
            var banned = entry.Banned is not null && time.GetUtcNow() < entry.BannedUntil;
            var paths = entry.Paths.Describe();
            return new PeerStatus(
                entry.Peer,
                entry.Connected,
                entry.Connected ? entry.Paths.Current : null,
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

        /// <summary>Whether it was ever talked to; a pull opens the book for everybody that it might ask.</summary>
        public bool IsMet { get; set; }

        public bool Connected { get; set; }

        public string? Banned { get; set; }

        public DateTimeOffset BannedUntil { get; set; }
    }
}
