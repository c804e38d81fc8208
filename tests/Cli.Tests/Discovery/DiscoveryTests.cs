using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Discovery;

/// <summary>Trackers, nodes and commands that find each other on a network of their own, without an address in any setting.</summary>
public sealed class DiscoveryTests
{
    private const long CheckpointBytes = 4 << 20;

    [NetworkLabFact]
    public async Task Publish_and_pull_need_no_address_of_a_tracker_wherever_it_moves()
    {
        using var lab = new NetworkLab();
        var key = lab.Folder["key"];
        await File.WriteAllTextAsync(key, "a secret of this cluster");
        var source = SmallCheckpoint.Write(lab.Folder["source"], CheckpointBytes);
        var tracker = await StartTrackerAsync(lab, key, 7400);
        var left = await StartNodeAsync(lab, NetworkLab.Left, key);
        var right = await StartNodeAsync(lab, NetworkLab.Right, key);

        await FoundAsync(lab, left, 7400);
        await FoundAsync(lab, right, 7400);
        (await lab.RunAsync(NetworkLab.Left, "publish", source, "m@v1", "--node", left)).Expect(0);
        (await lab.RunAsync(NetworkLab.Right, "pull", "m@v1", "--to", lab.Folder["by-node"], "--node", right)).Expect(0);
        (await lab.RunAsync(NetworkLab.Right, "verify", lab.Folder["by-node"], "m@v1", "--node", right)).Expect(0);

        // A command that starts a node inside itself.
        await Eventually.HoldsAsync(async () =>
            (await lab.RunAsync(NetworkLab.Right, "pull", "m@v1", "--to", lab.Folder["alone"], "--discover", "--cluster", "lab", "--cluster-key-file", key)).ExitCode == 0, "a pull without a node");
        Assert.Equal(await File.ReadAllBytesAsync(Path.Combine(source, "model.safetensors")), await File.ReadAllBytesAsync(Path.Combine(lab.Folder["alone"], "model.safetensors")));

        // It goes with a goodbye, and nobody finds it any more; it comes back elsewhere, and everybody does.
        (await tracker.StopAsync()).Expect(0);
        await Eventually.HoldsAsync(async () => (await StatusAsync(lab, right)).Contains("\"tracker\":\"\"", StringComparison.Ordinal), "the goodbye");
        (await lab.RunAsync(NetworkLab.Right, "ls", "--discover", "--cluster", "lab", "--cluster-key-file", key)).Expect(6);
        tracker = await StartTrackerAsync(lab, key, 7411);
        await FoundAsync(lab, left, 7411);
        await FoundAsync(lab, right, 7411);

        // It is killed without a word, and comes back elsewhere.
        await tracker.KillAsync();
        await StartTrackerAsync(lab, key, 7422);
        await FoundAsync(lab, left, 7422);
        await FoundAsync(lab, right, 7422);
        (await lab.RunAsync(NetworkLab.Left, "publish", source, "m@v2", "--node", left)).Expect(0);
        (await lab.RunAsync(NetworkLab.Right, "pull", "m@v2", "--to", lab.Folder["again"], "--node", right)).Expect(0);
    }

    [NetworkLabFact]
    public async Task Tracker_without_the_key_gets_no_word_from_a_node_that_has_one()
    {
        using var lab = new NetworkLab();
        var key = lab.Folder["key"];
        await File.WriteAllTextAsync(key, "a secret of this cluster");
        var stranger = lab.Start(NetworkLab.Left, "tracker", "--listen", "0.0.0.0:7400", "--insecure", "--data", lab.Folder["stranger"], "--advertise", "--cluster", "lab", "--log-level", "debug");
        await stranger.ReadyAsync();
        await Eventually.HoldsAsync(async () => (await lab.RunAsync(NetworkLab.Right, "ls", "--discover", "--cluster", "lab")).ExitCode == 0, "nodes without a key to find it");

        const string Reason = "does not prove that it has the cluster key";
        string[] cluster = ["--discover", "--cluster", "lab", "--cluster-key-file", key];
        await Eventually.HoldsAsync(async () => (await lab.RunAsync(NetworkLab.Right, ["ls", .. cluster])).Expect(6).Error.Contains(Reason, StringComparison.Ordinal), "ls to say why not");
        await Eventually.HoldsAsync(async () => (await lab.RunAsync(NetworkLab.Right, ["doctor", "--json", .. cluster])).Output.Contains(Reason, StringComparison.Ordinal), "doctor to say why not");
    }

    [NetworkLabFact]
    public async Task Hosts_with_nothing_but_the_addresses_that_IPv6_gives_itself_find_each_other()
    {
        using var lab = new NetworkLab(routed: false);
        await lab.Start(NetworkLab.Left, "tracker", "--listen", "[::]:7400", "--insecure", "--data", lab.Folder["tracker"], "--advertise").ReadyAsync();
        await Eventually.HoldsAsync(async () => (await lab.RunAsync(NetworkLab.Right, "ls", "--discover")).ExitCode == 0, "the tracker to be found");
    }

    [NetworkLabFact]
    public async Task Host_without_a_network_finds_its_own_tracker_on_loopback()
    {
        using var lab = new NetworkLab(routed: false);
        await lab.Start(NetworkLab.Left, "tracker", "--listen", "127.0.0.1:7400", "--data", lab.Folder["tracker"], "--advertise").ReadyAsync();
        await Eventually.HoldsAsync(async () => (await lab.RunAsync(NetworkLab.Left, "ls", "--discover")).ExitCode == 0, "the tracker to be found");
        (await lab.RunAsync(NetworkLab.Right, "ls", "--discover")).Expect(6);
    }

    private static async Task<RunningCommand> StartTrackerAsync(NetworkLab lab, string key, int port)
    {
        var tracker = lab.Start(
            NetworkLab.Left, "tracker", "--listen", $"0.0.0.0:{port}", "--data", lab.Folder["tracker"], "--advertise", "--cluster", "lab", "--cluster-key-file", key, "--lease", "2s");
        await tracker.ReadyAsync();
        return tracker;
    }

    private static async Task<string> StartNodeAsync(NetworkLab lab, string host, string key)
    {
        var socket = lab.Folder[$"{host}.sock"];
        await lab.Start(
            host, "node", "--name", host, "--discover", "--cluster", "lab", "--cluster-key-file", key, "--listen", $"{NetworkLab.AddressOf(host)}:0", "--data", lab.Folder[$"node-{host}"],
            "--socket", socket, "--memory", "0", "--disk", "64MiB", "--scrub-rate", "0", "--paths", "tcp").ReadyAsync();
        return socket;
    }

    /// <summary>Waits for a node to be in step with the tracker at a port.</summary>
    private static Task FoundAsync(NetworkLab lab, string node, int port) => Eventually.HoldsAsync(
        async () => await StatusAsync(lab, node) is var status && status.Contains($":{port}/", StringComparison.Ordinal) && status.Contains("\"tracker_reachable\":true", StringComparison.Ordinal),
        $"{node} to find the tracker at port {port}");

    private static async Task<string> StatusAsync(NetworkLab lab, string node) => (await lab.RunAsync(NetworkLab.Left, "status", "--node", node, "--json")).Output.Replace(" ", "", StringComparison.Ordinal);
}
