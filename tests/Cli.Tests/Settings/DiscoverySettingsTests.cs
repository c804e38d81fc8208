using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Client;

namespace P2PWeights.Cli.Tests.Settings;

public sealed class DiscoverySettingsTests
{
    [Theory]
    [InlineData(null, null, "http://127.0.0.1:7400/", null)]
    [InlineData("true", null, "", "default")]
    [InlineData("true", "http://a:1", "http://a:1/", "default")]
    [InlineData("false", "http://a:1", "http://a:1/", null)]
    public void Node_that_discovers_knows_the_trackers_that_somebody_named(string? discover, string? tracker, string trackers, string? cluster)
    {
        var options = Node(("P2PW_NODE_DISCOVER", discover), ("P2PW_NODE_TRACKER", tracker));
        Assert.Equal(trackers, string.Join(' ', options.Trackers));
        Assert.Equal(cluster, options.Discover?.Cluster);
    }

    [Fact]
    public void Cluster_is_named_by_a_setting_of_both()
    {
        Assert.Equal("lab one", Node(("P2PW_NODE_DISCOVER", "true"), ("P2PW_NODE_CLUSTER", "lab one")).Discover!.Cluster);
        Dictionary<string, string> environment = new() { ["P2PW_TRACKER_ADVERTISE"] = "true", ["P2PW_TRACKER_CLUSTER"] = "lab one" };
        var settings = new TrackerSettings();
        Assert.Equal("lab one", settings.Options(settings.Read(null, environment, null), environment).Advertise!.Cluster);
    }

    [Theory]
    [InlineData("")]
    [InlineData(" x")]
    [InlineData("a\nb")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123")]
    public void Cluster_that_cannot_be_named_so_is_refused(string cluster) =>
        Assert.Equal(NodeError.Usage, Assert.Throws<NodeException>(() => Node(("P2PW_NODE_CLUSTER", cluster))).Error);

    [Theory]
    [InlineData("ls", "--discover", "--tracker", "http://a:1")]
    [InlineData("ls", "--discover", "--node", "a.sock")]
    [InlineData("ls", "--cluster", "lab")]
    [InlineData("ls", "--discover", "--cluster", " ")]
    public async Task Command_with_options_that_exclude_each_other_is_refused(params string[] arguments) => (await P2pw.RunAsync(arguments)).Expect(2);

    private static NodeOptions Node(params (string Name, string? Value)[] variables)
    {
        var environment = variables.Where(variable => variable.Value is not null).ToDictionary(variable => variable.Name, variable => variable.Value!);
        var settings = new NodeSettings();
        return settings.Options(settings.Read(null, environment, null), environment);
    }
}
