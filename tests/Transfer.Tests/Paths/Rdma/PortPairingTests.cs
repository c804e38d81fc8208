using System.Net;
using P2PWeights.Transfer.Paths.Rdma;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

public sealed class PortPairingTests
{
    [Fact]
    public void Ports_of_one_subnet_pair_whatever_their_rank()
    {
        var pairs = PortPairing.Pair([Roce("10.9.0.1"), Roce("10.9.1.1")], [Roce("10.9.1.2"), Roce("10.9.0.2")]);

        Assert.Equal([(0, 1), (1, 0)], pairs);
    }

    [Fact]
    public void Port_whose_own_rail_is_there_gets_it_before_one_that_has_none()
    {
        var pairs = PortPairing.Pair([Roce("10.9.7.1"), Roce("10.9.1.1")], [Roce("10.9.1.2"), Roce("10.9.2.2")]);

        Assert.Equal([(0, 1), (1, 0)], pairs);
    }

    [Fact]
    public void Equal_addresses_pair_by_rank()
    {
        var port = Roce("10.9.0.1");

        Assert.Equal([(0, 0), (1, 1), (2, 2)], PortPairing.Pair([port, port, port], [port, port, port]));
    }

    [Fact]
    public void Listener_with_fewer_ports_shares_them_evenly()
    {
        var pairs = PortPairing.Pair([Roce("10.9.0.1"), Roce("10.9.0.2"), Roce("10.9.0.3"), Roce("10.9.0.4")], [Roce("10.9.0.5"), Roce("10.9.0.6")]);

        Assert.Equal(4, pairs.Count);
        Assert.Equal([2, 2], pairs.GroupBy(pair => pair.Listener).Select(group => group.Count()));
    }

    [Fact]
    public void Ports_of_another_link_or_kind_of_address_do_not_pair()
    {
        var listeners = new[] { Roce("10.9.0.1"), Roce("fe80::1"), Infiniband(1) };

        Assert.Equal([(0, 2)], PortPairing.Pair([Infiniband(1)], listeners));
        Assert.Equal([(0, 1)], PortPairing.Pair([Roce("2001:db8::1")], listeners));
        Assert.Empty(PortPairing.Pair([Infiniband(2)], listeners));
    }

    private static PortAddress Roce(string address) => new(QueueLink.Ethernet, IPAddress.Parse(address).MapToIPv6().GetAddressBytes());

    private static PortAddress Infiniband(byte subnet) =>
        new(QueueLink.InfiniBand, new byte[] { 0xfe, 0x80, 0, 0, 0, 0, 0, subnet, 1, 2, 3, 4, 5, 6, 7, 8 });
}
