namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>
/// The last packets that were sent, to know them when they come back: over loopback of multicast, or over another interface on the same network, where our own addresses of
/// this one would look like somebody else's under our name.
/// </summary>
internal sealed class RecentPackets
{
    private const int Capacity = 64;

    private readonly byte[]?[] _packets = new byte[]?[Capacity];
    private int _next;

    public void Add(byte[] packet)
    {
        _packets[_next] = packet;
        _next = (_next + 1) % Capacity;
    }

    public bool Contains(ReadOnlySpan<byte> packet)
    {
        foreach (var sent in _packets)
        {
            if (sent is not null && packet.SequenceEqual(sent))
            {
                return true;
            }
        }

        return false;
    }
}
