using System.Net;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>A message to be sent.</summary>
/// <param name="To">Who gets it; null for everybody on the link.</param>
internal sealed record Outgoing(Link Link, OutgoingKind Kind, DnsMessage Message, IPEndPoint? To = null)
{
    /// <summary>Most bytes of a message to somebody who does not speak multicast DNS (RFC 1035 section 4.2.1).</summary>
    public const int MaxLegacyBytes = 512;

    /// <summary>The receiver speaks plain DNS: it takes one packet.</summary>
    public bool IsLegacy => To is { Port: not MulticastDns.Port };
}

/// <summary>What a message is for; a tag of the metrics.</summary>
internal enum OutgoingKind
{
    /// <summary>A question.</summary>
    Query,

    /// <summary>A question whether a name is free.</summary>
    Probe,

    /// <summary>Records that nobody asked for.</summary>
    Announcement,

    /// <summary>Records that somebody asked for.</summary>
    Answer,

    /// <summary>Records that end.</summary>
    Goodbye,
}
