using System.Net;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>
/// Somebody who takes part in multicast DNS: is told what came, says what is to be sent and when it wants to be asked again. No IO and no clock of its own; called by one loop.
/// Times are counted from one start.
/// </summary>
internal interface IMulticastParty
{
    /// <summary>When <see cref="Poll"/> has something, unless something comes before.</summary>
    TimeSpan NextDue { get; }

    /// <summary>The links as they are now.</summary>
    void SetLinks(IReadOnlyList<Link> links, TimeSpan now);

    /// <summary>A message came from a source on the link.</summary>
    void Receive(LinkId link, DnsMessage message, IPEndPoint source, TimeSpan now);

    /// <summary>What is to be sent now.</summary>
    IReadOnlyList<Outgoing> Poll(TimeSpan now);

    /// <summary>What is to be sent before the end.</summary>
    IReadOnlyList<Outgoing> Farewell();
}
