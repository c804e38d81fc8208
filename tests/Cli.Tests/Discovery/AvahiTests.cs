using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Discovery;

/// <summary>Our multicast DNS and avahi's, on one cable and on one host.</summary>
public sealed class AvahiTests
{
    [NetworkLabFact(AvahiHost.Daemon, AvahiHost.Browser, AvahiHost.Bus)]
    public Task Tracker_on_another_host_is_resolved_by_avahi_until_it_stops() => ResolvedAsync(NetworkLab.Left);

    [NetworkLabFact(AvahiHost.Daemon, AvahiHost.Browser, AvahiHost.Bus)]
    public Task Tracker_on_the_host_of_avahi_is_resolved_by_avahi_until_it_stops() => ResolvedAsync(NetworkLab.Right);

    [NetworkLabFact(AvahiHost.Daemon, AvahiHost.Publisher, AvahiHost.Bus)]
    public async Task Tracker_published_by_avahi_is_found_from_both_hosts()
    {
        using var lab = new NetworkLab();
        var avahi = await AvahiHost.StartAsync(lab, NetworkLab.Right);
        var tracker = lab.Start(NetworkLab.Right, "tracker", "--listen", "0.0.0.0:7400", "--insecure", "--data", lab.Folder["tracker"]);
        await tracker.ReadyAsync();
        await avahi.PublishAsync("by hand", 7400, "txtvers=1", "cluster=lab");

        foreach (var host in (string[])[NetworkLab.Left, NetworkLab.Right])
        {
            await Eventually.HoldsAsync(async () => (await lab.RunAsync(host, "ls", "--discover", "--cluster", "lab")).ExitCode == 0, "the tracker to be found");
        }

        await Eventually.HoldsAsync(
            async () => (await lab.RunAsync(NetworkLab.Left, "ls", "--discover", "--cluster", "other")).Expect(6).Error.Contains("by hand, because it belongs to the cluster 'lab'", StringComparison.Ordinal),
            "why another cluster's tracker is not used");
    }

    [NetworkLabFact(AvahiHost.Daemon, AvahiHost.Browser, AvahiHost.Publisher, AvahiHost.Bus)]
    public async Task Name_that_avahi_has_is_left_to_it()
    {
        using var lab = new NetworkLab();
        var avahi = await AvahiHost.StartAsync(lab, NetworkLab.Right);
        await avahi.PublishAsync(Environment.MachineName, 9999, "cluster=avahi");
        var tracker = lab.Start(NetworkLab.Left, "tracker", "--listen", "0.0.0.0:7400", "--insecure", "--data", lab.Folder["tracker"], "--advertise", "--cluster", "ours");
        await tracker.ReadyAsync();

        // avahi writes ` (2)` with escapes.
        await Eventually.HoldsAsync(async () => (await avahi.BrowseAsync()) is var lines
            && lines.Any(line => line.StartsWith($"=;eth0;IPv4;{Environment.MachineName}\\032\\0402\\041;", StringComparison.Ordinal) && line.Contains("\"cluster=ours\"", StringComparison.Ordinal))
            && lines.Any(line => line.StartsWith($"=;eth0;IPv4;{Environment.MachineName};", StringComparison.Ordinal) && line.Contains("\"cluster=avahi\"", StringComparison.Ordinal)), "both names");
        Assert.Contains("Somebody else has the name", tracker.ErrorSoFar, StringComparison.Ordinal);
    }

    [NetworkLabFact(AvahiHost.Daemon, AvahiHost.Publisher, AvahiHost.Bus)]
    public async Task Name_that_we_have_is_left_to_us()
    {
        using var lab = new NetworkLab();
        var avahi = await AvahiHost.StartAsync(lab, NetworkLab.Right);
        var tracker = lab.Start(NetworkLab.Left, "tracker", "--listen", "0.0.0.0:7400", "--insecure", "--data", lab.Folder["tracker"], "--advertise");
        await tracker.ReadyAsync();
        await Eventually.HoldsAsync(async () => (await lab.RunAsync(NetworkLab.Right, "ls", "--discover")).ExitCode == 0, "the tracker to be found");

        var published = await avahi.PublishAsync(Environment.MachineName, 9999);

        Assert.Contains($"Established under name '{Environment.MachineName} #2'", published.Said, StringComparison.Ordinal);
        Assert.DoesNotContain("Somebody else has the name", tracker.ErrorSoFar, StringComparison.Ordinal);
    }

    private static async Task ResolvedAsync(string host)
    {
        using var lab = new NetworkLab();
        var avahi = await AvahiHost.StartAsync(lab, NetworkLab.Right);
        var tracker = lab.Start(host, "tracker", "--listen", "[::]:0", "--insecure", "--data", lab.Folder["tracker"], "--advertise", "--cluster", "lab one");
        var port = new Uri((await tracker.ReadyAsync())["tracker"]).Port;
        var number = host == NetworkLab.Left ? 1 : 2;

        IReadOnlyList<string> lines = [];
        await Eventually.HoldsAsync(async () =>
        {
            lines = await avahi.BrowseAsync();
            return ((string[])["IPv4", "IPv6"]).All(family => lines.Any(line => line.StartsWith($"=;eth0;{family};{Environment.MachineName};_p2pweights._tcp;local;p2pw-", StringComparison.Ordinal)));
        }, "both links and all that is known of the instance");
        Assert.All(lines.Where(line => line[0] == '='), line =>
        {
            Assert.Contains($";{port};", line, StringComparison.Ordinal);
            Assert.True(line.Contains($";10.231.7.{number};", StringComparison.Ordinal) || line.Contains($";fd31::{number};", StringComparison.Ordinal), line);
            Assert.All((string[])["\"txtvers=1\"", "\"scheme=http\"", "\"path=/\"", "\"cluster=lab one\""], text => Assert.Contains(text, line, StringComparison.Ordinal));
        });

        (await tracker.StopAsync()).Expect(0);
        await Eventually.HoldsAsync(async () => (await avahi.BrowseAsync()).Count == 0, "avahi to have forgotten it");
    }
}
