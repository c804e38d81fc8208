using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Tracker.Http;

/// <summary>What a well-formed request may say, whichever encoding it came in. Whatever is wrong is refused with the reason before it touches any state.</summary>
internal static class RequestRules
{
    /// <summary>Shards in one sync: 32 TiB of checkpoint at 16 MiB each.</summary>
    public const int MaxShardsPerSync = 2 << 20;

    /// <summary>
    /// Shards up to which a peer may tell of more by digest, those in its swarms counted: 64 TiB of checkpoint at 16 MiB each, about 0.5 GiB of the tracker's memory.
    /// </summary>
    public const int MaxShardsOfPeer = 4 << 20;

    public const int MaxSwarms = 256;
    public const int MaxEndpoints = 32;
    public const int MaxEndpointLength = 300;
    public const int MaxLabels = 32;
    public const int MaxTextLength = 256;

    public static void Check(SyncRequest sync)
    {
        Check(sync.Peer);
        RequireAtMost(sync.Gained.Length + (long)sync.Lost.Length, MaxShardsPerSync, "shards gained and lost");
        RequireAtMost(sync.Swarms.Length, MaxSwarms, "swarms");
        RequireAtMost(sync.Left.Length, MaxSwarms, "swarms left");
        RequireAtMost(sync.Pulls.Length, MaxSwarms, "pulls");
        foreach (var pull in sync.Pulls)
        {
            Require(pull.Seen >= 0 && pull.BytesDone >= 0 && pull.BytesTotal >= 0, "a number of a pull is negative");
            RequireText(pull.Path, "the path of a pull");
        }

        Require(sync.Sequence >= 0, "the sequence number is negative");
        Require(sync.EventsAfter >= 0, "eventsAfter is negative");
        Require(sync.LoadBytesPerSecond >= 0, "loadBytesPerSecond is negative");
    }

    /// <summary>Reads the <c>name@version</c> of a route; a slash may stand in it as such or as <c>%2F</c>.</summary>
    public static CheckpointName Checkpoint(string? text)
    {
        var unescaped = (text ?? "").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);
        return CheckpointName.TryParse(unescaped, out var checkpoint, out var problem) ? checkpoint : throw ApiException.BadRequest(problem);
    }

    public static Digest Digest(string? text) =>
        Store.Content.Digest.TryParse(text, out var digest) ? digest : throw ApiException.BadRequest("a digest is 64 hex digits");

    /// <summary>Checks a version or tag that comes without its name.</summary>
    public static string Version(string text) => CheckpointName.VersionProblem(text) is { } problem ? throw ApiException.BadRequest(problem) : text;

    /// <summary>Checks a name that comes without a version.</summary>
    public static string Name(string text) => CheckpointName.NameProblem(text) is { } problem ? throw ApiException.BadRequest(problem) : text;

    /// <summary>Reads how many of something are asked for.</summary>
    public static int Count(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : throw ApiException.BadRequest("a count is a number, 0 or more");

    private static void Check(PeerInfo peer)
    {
        Require(peer.Id != Guid.Empty, "the id of the peer is empty");
        RequireText(peer.Name, "the name of the peer");
        RequireText(peer.HostId, "the hostId of the peer");
        RequireAtMost(peer.Endpoints.Length, MaxEndpoints, "endpoints");
        foreach (var endpoint in peer.Endpoints)
        {
            Require(IsHostAndPort(endpoint), "an endpoint of the peer is not host:port with a port from 1 to 65535");
        }

        RequireAtMost(peer.Labels.Count, MaxLabels, "labels");
        foreach (var (key, value) in peer.Labels)
        {
            RequireText(key, "the name of a label");
            RequireText(value, "the value of a label");
        }
    }

    /// <summary><c>host:port</c>, with an IPv6 address in brackets.</summary>
    internal static bool IsHostAndPort(string? text)
    {
        if (text is null || text.Length > MaxEndpointLength)
        {
            return false;
        }

        var colon = text.LastIndexOf(':');
        return colon > 0
            && ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port)
            && port > 0
            && Uri.CheckHostName(text[..colon]) != UriHostNameType.Unknown
            && (text[0] == '[' || !text[..colon].Contains(':', StringComparison.Ordinal));
    }

    private static void RequireText(string? text, string what) =>
        Require(text is { Length: <= MaxTextLength } && !text.Any(char.IsControl), $"{what} is longer than {MaxTextLength} characters or has control characters in it");

    private static void RequireAtMost(long count, int limit, string what) => Require(count <= limit, $"{count} {what} in one request, at most {limit} are allowed");

    private static void Require([DoesNotReturnIf(false)] bool holds, string problem)
    {
        if (!holds)
        {
            throw ApiException.BadRequest(problem);
        }
    }
}
