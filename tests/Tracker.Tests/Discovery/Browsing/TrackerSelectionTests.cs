using System.Net;
using P2PWeights.Tracker.Discovery;
using P2PWeights.Tracker.Discovery.Browsing;

namespace P2PWeights.Tracker.Tests.Discovery.Browsing;

public sealed class TrackerSelectionTests
{
    [Fact]
    public void Trackers_of_the_cluster_come_in_an_order_that_all_agree_on()
    {
        var services = new[]
        {
            Service("b", 7400, "c", null, "10.0.0.2"),
            Service("a", 7400, "c", null, "fe80::1%2", "127.0.0.1", "fd00::1", "10.0.0.1"),
            Service("other", 7400, "d", null, "10.0.0.3"),
            Service("b", 7400, "c", null, "10.0.0.2"),
        };
        string[] expected = ["http://10.0.0.1:7400/", "http://[fd00::1]:7400/", "http://[fe80::1%2]:7400/", "http://127.0.0.1:7400/", "http://10.0.0.2:7400/"];

        var (trackers, rejected) = TrackerSelection.Of(services, "c", null);
        Assert.Equal(expected, trackers.Select(one => one.Address.OriginalString));
        Assert.Equal(trackers, TrackerSelection.Of([.. services.Reverse()], "c", null).Trackers);
        Assert.Equal(["other"], rejected.Select(one => one.Instance));
    }

    [Fact]
    public void Service_that_names_no_cluster_is_of_the_default_one()
    {
        var service = Service("a", 7400, "c", null, "10.0.0.1") with { Pairs = new Dictionary<string, string>() };
        Assert.Single(TrackerSelection.Of([service], DiscoveryOptions.DefaultCluster, null).Trackers);
    }

    [Fact]
    public void Tracker_must_prove_the_key_when_there_is_one()
    {
        var service = Service("a", 7400, "c", "key", "10.0.0.1", "fd00::1");
        Assert.Equal(2, TrackerSelection.Of([service], "c", "key").Trackers.Count);
        Assert.Equal(2, TrackerSelection.Of([service], "c", null).Trackers.Count);
        Assert.Empty(TrackerSelection.Of([service], "c", "another key").Trackers);
        Assert.Empty(TrackerSelection.Of([Service("a", 7400, "c", null, "10.0.0.1")], "c", "key").Trackers);
    }

    [Fact]
    public void Proof_of_one_place_is_none_of_another()
    {
        // What somebody without the key can do with an advertisement that it heard.
        var service = Service("a", 7400, "c", "key", "10.0.0.1");
        Assert.Empty(TrackerSelection.Of([service with { Addresses = [IPAddress.Parse("10.0.0.66")] }], "c", "key").Trackers);
        Assert.Empty(TrackerSelection.Of([service with { Port = 7401 }], "c", "key").Trackers);
        var moved = service with { Pairs = new Dictionary<string, string>(service.Pairs) { ["cluster"] = "d" } };
        Assert.Empty(TrackerSelection.Of([moved], "d", "key").Trackers);
        var mixed = service with { Addresses = [IPAddress.Parse("10.0.0.66"), IPAddress.Parse("10.0.0.1")] };
        var (trackers, rejected) = TrackerSelection.Of([mixed], "c", "key");
        Assert.Equal("http://10.0.0.1:7400/", Assert.Single(trackers).Address.AbsoluteUri);
        Assert.Contains("10.0.0.66 port 7400", Assert.Single(rejected).Reason, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("scheme", "https")]
    [InlineData("scheme", "file")]
    [InlineData("path", "x")]
    [InlineData("path", "/a b")]
    [InlineData("path", "/../x")]
    [InlineData("path", "/?q")]
    [InlineData("path", "//")]
    [InlineData("path", "/%2e")]
    public void Text_that_asks_for_something_else_is_refused(string key, string value)
    {
        var service = Service("a", 7400, "c", null, "10.0.0.1");
        var (trackers, rejected) = TrackerSelection.Of([service with { Pairs = new Dictionary<string, string>(service.Pairs) { [key] = value } }], "c", null);
        Assert.True(trackers.Count == 0 || trackers[0].Address is { AbsolutePath: "//", Host: "10.0.0.1" }, $"{key}={value}");
        Assert.True(rejected.Count + trackers.Count == 1);
    }

    [Fact]
    public void Path_is_part_of_the_address()
    {
        var service = Service("a", 7400, "c", null, "10.0.0.1");
        var with = service with { Pairs = new Dictionary<string, string>(service.Pairs) { ["path"] = "/tracker" } };
        Assert.Equal("http://10.0.0.1:7400/tracker/", Assert.Single(TrackerSelection.Of([with], "c", null).Trackers).Address.AbsoluteUri);
    }

    [Theory]
    [InlineData("0.0.0.0")]
    [InlineData("255.255.255.255")]
    [InlineData("224.0.0.251")]
    [InlineData("::")]
    [InlineData("ff02::fb")]
    public void Addresses_of_nobody_are_passed_over(string address) => Assert.Empty(TrackerSelection.Of([Service("a", 7400, "c", null, address)], "c", null).Trackers);

    [Fact]
    public void Port_zero_is_no_port() => Assert.Empty(TrackerSelection.Of([Service("a", 0, "c", null, "10.0.0.1")], "c", null).Trackers);

    [Fact]
    public void Names_are_shown_without_what_a_terminal_obeys() =>
        Assert.Equal("?[2Ja", Assert.Single(TrackerSelection.Of([Service("\u001b[2Ja", 7400, "c", null, "10.0.0.1")], "c", null).Trackers).Instance);

    [Theory]
    [InlineData("!!!")]
    [InlineData("")]
    [InlineData("AAAA")]
    public void Proofs_that_are_none_prove_nothing(string proofs) =>
        Assert.False(TrackerText.Proves(proofs, "key", "c", IPAddress.Loopback, 1));

    private static FoundService Service(string instance, ushort port, string cluster, string? key, params string[] addresses)
    {
        IPAddress[] all = [.. addresses.Select(IPAddress.Parse)];
        var text = TrackerText.Compose(cluster, key, port, all).Select(pair => pair.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
        return new FoundService(instance, port, text, all);
    }
}
