using System.Net.Sockets;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>One network interface and one IP family: what multicast DNS sees as a link of its own.</summary>
/// <param name="Interface">Index of the interface, as the kernel numbers it.</param>
internal readonly record struct LinkId(int Interface, AddressFamily Family);
