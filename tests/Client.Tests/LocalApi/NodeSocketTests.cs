using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Client.LocalApi;
using P2PWeights.Store.Telemetry;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.LocalApi;

/// <summary>The Unix socket of the local API as a file: whose it is, and what it may replace.</summary>
public sealed class NodeSocketTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly ScriptedNode _node = new();
    private readonly MetricsText _metrics = new();
    private NodeServer _server = null!;
    private NodeClient _client = null!;

    private string Socket => _folder["run/node.sock"];

    public async Task InitializeAsync()
    {
        _server = await StartAsync(Socket, _node);
        _client = new NodeClient(Socket);
    }

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _server.DisposeAsync();
        _metrics.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void Socket_is_for_its_owner_alone()
    {
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Socket));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(_folder["run"]));
    }

    [Fact]
    public async Task Second_node_on_a_live_socket_refuses_to_start()
    {
        var refused = await Assert.ThrowsAsync<NodeException>(() => StartAsync(Socket, new ScriptedNode()));

        Assert.Equal(NodeError.NotAllowed, refused.Error);
        Assert.Contains($"another node listens on {Socket}", refused.Message, StringComparison.Ordinal);
        _node.OnStatus = () => throw new NodeException(NodeError.Failed, "still here");
        Assert.Equal("still here", (await Assert.ThrowsAsync<NodeException>(() => _client.StatusAsync(default))).Message);
    }

    [Fact]
    public async Task Socket_of_a_dead_process_is_replaced()
    {
        var path = _folder["dead.sock"];
        LeaveDeadSocket(path);
        Assert.True(File.Exists(path));

        await using var server = await StartAsync(path, _node);

        Assert.Equal(200, (await RawHttp.SendAsync(path, "GET", "/metrics", null)).Status);
    }

    [Fact]
    public async Task File_in_the_place_of_the_socket_is_not_removed()
    {
        var path = _folder["file"];
        await File.WriteAllTextAsync(path, string.Empty);

        var refused = await Assert.ThrowsAsync<NodeException>(
            () => StartAsync(path, _node));

        Assert.Equal(NodeError.NotAllowed, refused.Error);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task Socket_of_another_kind_is_refused_and_not_removed()
    {
        var path = _folder["datagram.sock"];
        using var datagrams = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        datagrams.Bind(new UnixDomainSocketEndPoint(path));

        var refused = await Assert.ThrowsAsync<NodeException>(
            () => StartAsync(path, _node));

        Assert.Equal(NodeError.NotAllowed, refused.Error);
        Assert.True(File.Exists(path));
    }

    [Fact]
    public async Task Client_without_a_node_says_how_to_start_one()
    {
        using var client = new NodeClient(_folder["nobody.sock"]);

        var failure = await Assert.ThrowsAsync<NodeException>(() => client.StatusAsync(default));

        Assert.Equal(NodeError.NotFound, failure.Error);
        Assert.Contains("start one with `p2pw node", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Path_too_long_for_a_socket_is_refused()
    {
        var failure = Assert.Throws<NodeException>(() => new NodeClient("/" + new string('x', 120)));

        Assert.Equal(NodeError.Usage, failure.Error);
    }

    private static void LeaveDeadSocket(string path)
    {
        // .NET unlinks what it bound when it disposes; a killed process does not. Binding elsewhere and renaming leaves the same file.
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(path + ".bound"));
        File.Move(path + ".bound", path);
    }

    private Task<NodeServer> StartAsync(string path, INodeApi node) => NodeServer.StartAsync(path, node, _metrics, TimeProvider.System, NullLoggerFactory.Instance, default);
}
