using System.Net;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>A datagram as it came.</summary>
internal sealed record Packet(LinkId Link, IPEndPoint Source, byte[] Bytes);
