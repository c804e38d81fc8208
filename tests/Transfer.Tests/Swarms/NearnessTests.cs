using System.Collections.Immutable;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Swarms;

public sealed class NearnessTests
{
    [Theory]
    [InlineData("h1", "zone=a", Nearness.SameHost)]
    [InlineData("h2", "rack=r1", Nearness.SameRack)]
    [InlineData("h2", "rail=0,zone=b", Nearness.SameRack)]
    [InlineData("h2", "rack=r2,zone=a", Nearness.SameZone)]
    [InlineData("h2", "rack=r2", Nearness.Elsewhere)]
    [InlineData("", "", Nearness.Elsewhere)]
    public void Nearness_is_by_host_then_rack_or_rail_then_zone(string host, string labels, int expected)
    {
        var other = new PeerInfo(Guid.NewGuid(), "other", [], host, Labels(labels));
        Assert.Equal(expected, Nearness.Of("h1", Labels("zone=a,rack=r1,rail=0"), other));
    }

    [Fact]
    public void Nodes_that_do_not_know_their_host_do_not_share_it() =>
        Assert.Equal(Nearness.Elsewhere, Nearness.Of("", Labels(""), new PeerInfo(Guid.NewGuid(), "other", [], "", Labels(""))));

    private static ImmutableSortedDictionary<string, string> Labels(string text) => text
        .Split(',', StringSplitOptions.RemoveEmptyEntries)
        .ToImmutableSortedDictionary(pair => pair.Split('=')[0], pair => pair.Split('=')[1]);
}
