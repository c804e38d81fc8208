using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Discovery;

/// <summary>avahi on a host of a lab, with a message bus of its own.</summary>
internal sealed class AvahiHost
{
    public const string Daemon = "avahi-daemon";
    public const string Browser = "avahi-browse";
    public const string Publisher = "avahi-publish";
    public const string Bus = "dbus-daemon";

    private readonly NetworkLab _lab;
    private readonly string _host;
    private readonly Dictionary<string, string> _environment;

    private AvahiHost(NetworkLab lab, string host, string bus) => (_lab, _host, _environment) = (lab, host, new() { ["DBUS_SYSTEM_BUS_ADDRESS"] = $"unix:path={bus}" });

    public static async Task<AvahiHost> StartAsync(NetworkLab lab, string host)
    {
        var bus = lab.Folder[$"bus-{host}"];
        var avahi = new AvahiHost(lab, host, bus);
        await File.WriteAllTextAsync(lab.Folder[$"bus-{host}.conf"], $"""
            <busconfig>
              <type>system</type>
              <listen>unix:path={bus}</listen>
              <auth>EXTERNAL</auth>
              <policy context="default">
                <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_type="signal"/>
                <allow send_requested_reply="true" send_type="method_return"/> <allow send_requested_reply="true" send_type="error"/> <allow receive_type="*"/>
              </policy>
            </busconfig>
            """);
        await File.WriteAllTextAsync(lab.Folder[$"avahi-{host}.conf"], $"""
            [server]
            host-name=avahi-{host}
            allow-interfaces=eth0
            use-ipv4=yes
            use-ipv6=yes
            [wide-area]
            enable-wide-area=no
            [publish]
            publish-hinfo=no
            publish-workstation=no
            """);
        lab.StartTool(host, avahi._environment, Bus, $"--config-file={lab.Folder[$"bus-{host}.conf"]}", "--nofork", "--nopidfile");
        await Eventually.HoldsAsync(() => File.Exists(bus), "the message bus");

        // A /run of its own, where nobody else's avahi has left its number.
        var daemon = lab.StartTool(
            host,
            avahi._environment,
            "sh",
            "-c",
            $"mount -t tmpfs none /run && mkdir /run/avahi-daemon && exec {Daemon} -f '{lab.Folder[$"avahi-{host}.conf"]}' --no-drop-root --no-chroot --no-rlimits");
        await daemon.SaysAsync("Server startup complete");
        return avahi;
    }

    /// <summary>What avahi knows of our service, resolved: lines of fields with semicolons between; those of resolved instances begin with <c>=</c>.</summary>
    public async Task<IReadOnlyList<string>> BrowseAsync()
    {
        using var browse = _lab.StartTool(_host, _environment, Browser, "--resolve", "--parsable", "--terminate", "_p2pweights._tcp");
        return (await browse.FinishAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
    }

    /// <summary>Publishes an instance of our service until it is disposed; returns when avahi has settled its name.</summary>
    public async Task<RunningTool> PublishAsync(string instance, int port, params string[] text)
    {
        var publish = _lab.StartTool(_host, _environment, [Publisher, "--service", instance, "_p2pweights._tcp", $"{port}", .. text]);
        await publish.SaysAsync("Established under name");
        return publish;
    }
}
