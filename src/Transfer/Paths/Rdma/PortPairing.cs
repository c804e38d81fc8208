using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// Decides which device of the caller talks to which of the listener. Only ports on one kind of link and with one kind of address can talk; among those every port gets a partner,
/// partners are shared evenly, and a port prefers the partner whose address begins like its own: ports of one rail are in one subnet. Equal ones pair by rank. No IO.
/// </summary>
internal static class PortPairing
{
    /// <summary>Pairs of indices, one for every port of the caller that any of the listener's can talk to; in the caller's order.</summary>
    public static IReadOnlyList<(int Caller, int Listener)> Pair(IReadOnlyList<PortAddress> callers, IReadOnlyList<PortAddress> listeners)
    {
        var pairs = new List<(int Caller, int Listener)>();
        var uses = new int[listeners.Count];

        // Ports that are close to one of the others choose first, so that a rail's own partner is still free.
        foreach (var caller in Enumerable.Range(0, callers.Count).OrderByDescending(i => Closest(callers[i], listeners)).ToList())
        {
            var best = Enumerable.Range(0, listeners.Count)
                .Where(i => callers[caller].Reaches(listeners[i]))
                .OrderBy(i => uses[i])
                .ThenByDescending(i => callers[caller].CommonPrefix(listeners[i]))
                .ThenBy(i => Math.Abs(i - caller))
                .Select(i => (int?)i)
                .FirstOrDefault();
            if (best is { } listener)
            {
                uses[listener]++;
                pairs.Add((caller, listener));
            }
        }

        pairs.Sort();
        return pairs;
    }

    private static int Closest(PortAddress port, IReadOnlyList<PortAddress> others) =>
        others.Where(port.Reaches).Select(port.CommonPrefix).DefaultIfEmpty(-1).Max();
}

/// <summary>How a port of a device is reached.</summary>
/// <param name="Link">What the port is connected to.</param>
/// <param name="Gid">Its address, 16 bytes: an IPv6 address, or an IPv4 one mapped into IPv6 (RFC 4291, 2.5.5.2).</param>
internal sealed record PortAddress(QueueLink Link, ReadOnlyMemory<byte> Gid)
{
    private const int SubnetPrefixBytes = 8;

    /// <summary>Whether a queue pair here can possibly reach one there; whether it does is seen when they are connected.</summary>
    public bool Reaches(PortAddress other) => Link == other.Link && Link switch
    {
        // Subnets of InfiniBand are joined by routers that hardly exist; the first half of the address names the subnet (IBA volume 1, 4.1.1).
        QueueLink.InfiniBand => Gid.Span[..SubnetPrefixBytes].SequenceEqual(other.Gid.Span[..SubnetPrefixBytes]),
        _ => IsIPv4 == other.IsIPv4,
    };

    /// <summary>Leading bits that the two addresses have in common.</summary>
    public int CommonPrefix(PortAddress other)
    {
        for (var i = 0; i < QueueDevice.GidBytes; i++)
        {
            var difference = Gid.Span[i] ^ other.Gid.Span[i];
            if (difference != 0)
            {
                return (i * 8) + int.LeadingZeroCount(difference) - 24;
            }
        }

        return QueueDevice.GidBytes * 8;
    }

    private bool IsIPv4 => !Gid.Span[..10].ContainsAnyExcept((byte)0) && Gid.Span[10] == 0xff && Gid.Span[11] == 0xff;
}
