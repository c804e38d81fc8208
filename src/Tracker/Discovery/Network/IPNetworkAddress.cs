using System.Net;
using System.Net.Sockets;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>An address of an interface and the network that it is on.</summary>
/// <param name="Address">Without a scope.</param>
/// <param name="PrefixLength">Bits that all addresses of the network share.</param>
internal readonly record struct IPNetworkAddress(IPAddress Address, int PrefixLength)
{
    /// <summary>Whether an address is on the same network.</summary>
    public bool Contains(IPAddress other)
    {
        if (other.AddressFamily != Address.AddressFamily)
        {
            return false;
        }

        var (mine, theirs) = (Address.GetAddressBytes(), other.GetAddressBytes());
        for (var bit = 0; bit < PrefixLength; bit++)
        {
            if (((mine[bit / 8] ^ theirs[bit / 8]) & (0x80 >> (bit % 8))) != 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>169.254.0.0/16 or fe80::/10.</summary>
    public static bool IsLinkLocal(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetworkV6 ? address.IsIPv6LinkLocal : address.GetAddressBytes() is [169, 254, ..];
}
