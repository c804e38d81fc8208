using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Settings;

public sealed class ClusterKeyTests : IDisposable
{
    private readonly TempFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void File_is_read_without_its_line_end_and_beats_the_variable()
    {
        File.WriteAllText(_folder["key"], "secret\n");

        Assert.Equal("secret", ClusterKey.Read(_folder["key"], new Dictionary<string, string> { [ClusterKey.Variable] = "other" }));
    }

    [Fact]
    public void Variable_counts_when_no_file_is_named() => Assert.Equal("other", ClusterKey.Read(null, new Dictionary<string, string> { [ClusterKey.Variable] = "other" }));

    [Fact]
    public void Nothing_set_is_no_key() => Assert.Null(ClusterKey.Read(null, new Dictionary<string, string> { [ClusterKey.Variable] = "" }));

    [Theory]
    [InlineData(0)]
    [InlineData(4097)]
    public void File_of_a_strange_length_is_refused(int length)
    {
        File.WriteAllText(_folder["key"], new string('k', length));

        Assert.Equal(NodeError.Usage, Assert.Throws<NodeException>(() => ClusterKey.Read(_folder["key"], new Dictionary<string, string>())).Error);
    }

    [Fact]
    public void File_that_is_missing_is_refused_by_name() =>
        Assert.Contains(_folder["none"], Assert.Throws<NodeException>(() => ClusterKey.Read(_folder["none"], new Dictionary<string, string>())).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("127.0.0.1:1", null, false, true)]
    [InlineData("127.9.9.9:1", null, false, true)]
    [InlineData("[::1]:1", null, false, true)]
    [InlineData("localhost:1", null, false, true)]
    [InlineData("0.0.0.0:1", null, false, false)]
    [InlineData("[::]:1", null, false, false)]
    [InlineData("10.0.0.1:1", null, false, false)]
    [InlineData("some-host:1", null, false, false)]
    [InlineData("0.0.0.0:1", "key", false, true)]
    [InlineData("0.0.0.0:1", null, true, true)]
    public void Listening_beyond_loopback_needs_a_key_or_a_word(string endpoint, string? key, bool insecure, bool allowed)
    {
        var exception = Record.Exception(() => ClusterKey.DemandFor(endpoint, key, insecure));

        if (allowed)
            Assert.Null(exception);
        else
            Assert.Equal(NodeError.NotAllowed, Assert.IsType<NodeException>(exception).Error);
    }

    [Fact]
    public void Node_is_found_where_the_variable_says_even_if_it_is_not_there() =>
        Assert.Equal("/x/node.sock", NodeLocator.Find(new Dictionary<string, string> { ["P2PW_NODE"] = "/x/node.sock", ["XDG_RUNTIME_DIR"] = "/run/user/7" }, _ => true));

    [Theory]
    [InlineData("/run/p2pweights/node.sock")]
    [InlineData("/run/user/7/p2pweights/node.sock")]
    public void Node_is_found_where_a_socket_exists(string socket) =>
        Assert.Equal(socket, NodeLocator.Find(new Dictionary<string, string> { ["XDG_RUNTIME_DIR"] = "/run/user/7" }, path => path == socket));

    [Fact]
    public void Node_that_is_nowhere_is_not_found_with_the_places()
    {
        var exception = Assert.Throws<NodeException>(() => NodeLocator.Find(new Dictionary<string, string> { ["XDG_RUNTIME_DIR"] = "/run/user/7" }, _ => false));

        Assert.Equal(NodeError.NotFound, exception.Error);
        Assert.Contains("/run/user/7/p2pweights/node.sock", exception.Message, StringComparison.Ordinal);
    }
}
