using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace P2PWeights.Transfer.Sessions;

/// <summary>What this node remembers of each peer it talked to: what came from it, and whether it is banned. Thread-safe.</summary>
internal sealed class PeerBook(TimeSpan banTime, TimeProvider time, ILogger log)
{
    private readonly ConcurrentDictionary<Guid, Entry> _entries = new();

    /// <summary>State of all peers talked to.</summary>
    public IReadOnlyList<PeerStatus> Statuses => [.. _entries.Values.Select(Describe)];

    /// <summary>A session with the peer came up by a path, or (null) the last one went down.</summary>
    public void SetConnected(PeerInfo peer, string? path)
    {
        var entry = Open(peer);
        lock (entry)
        {
            entry.Connected = path is not null;
            entry.Path = path ?? entry.Path;
        }
    }

    /// <summary>Verified bytes came from the peer.</summary>
    public void AddReceived(PeerInfo peer, long bytes)
    {
        var entry = Open(peer);
        lock (entry)
        {
            entry.BytesReceived += bytes;
        }
    }

    /// <summary>Asks the peer nothing, and lets it in nowhere, for the ban time.</summary>
    public void Ban(PeerInfo peer, string reason)
    {
        var entry = Open(peer);
        DateTimeOffset until;
        lock (entry)
        {
            until = time.GetUtcNow() + banTime;
            (entry.Banned, entry.BannedUntil) = (reason, until);
        }

        log.Banned(peer.Name, peer.Id, until, reason);
    }

    /// <summary>Why the peer is banned now, or null.</summary>
    public string? BanOf(Guid peer) => _entries.TryGetValue(peer, out var entry) ? Describe(entry).Banned : null;

    private Entry Open(PeerInfo peer)
    {
        var entry = _entries.GetOrAdd(peer.Id, _ => new Entry(peer));
        entry.Peer = peer;
        return entry;
    }

    private PeerStatus Describe(Entry entry)
    {
        lock (entry)
        {
            var banned = entry.Banned is not null && time.GetUtcNow() < entry.BannedUntil;
            return new PeerStatus(
                entry.Peer,
                entry.Connected,
                entry.Connected ? entry.Path : null,
                entry.BytesReceived,
                banned ? entry.Banned : null,
                banned ? entry.BannedUntil : null);
        }
    }

    private sealed class Entry(PeerInfo peer)
    {
        public PeerInfo Peer { get; set; } = peer;

        public bool Connected { get; set; }

        public string? Path { get; set; }

        public long BytesReceived { get; set; }

        public string? Banned { get; set; }

        public DateTimeOffset BannedUntil { get; set; }
    }
}
