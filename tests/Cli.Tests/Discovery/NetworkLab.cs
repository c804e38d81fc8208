using System.Diagnostics;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Discovery;

/// <summary>Two hosts with a cable between them: network namespaces of this machine, gone when it is disposed with everything that runs in them.</summary>
internal sealed class NetworkLab : IDisposable
{
    public const string Left = "a";
    public const string Right = "b";

    private static readonly Dictionary<string, string?> NoVariables = [];
    private static int _count;

    private readonly string _name = $"p2pw-{Environment.ProcessId}-{Interlocked.Increment(ref _count)}";
    private readonly List<RunningCommand> _commands = [];
    private readonly List<RunningTool> _tools = [];

    /// <param name="routed">Whether the hosts have addresses of IPv4 and IPv6 besides those that IPv6 gives itself.</param>
    public NetworkLab(bool routed = true)
    {
        Folder = new TempFolder();
        try
        {
            foreach (var host in (string[])[Left, Right])
            {
                Ip("netns", "add", NamespaceOf(host));
            }

            Ip("link", "add", "eth0", "netns", NamespaceOf(Left), "type", "veth", "peer", "name", "eth0", "netns", NamespaceOf(Right));
            foreach (var host in (string[])[Left, Right])
            {
                var number = host == Left ? 1 : 2;
                Ip("-n", NamespaceOf(host), "link", "set", "lo", "up");
                Ip("-n", NamespaceOf(host), "link", "set", "eth0", "addrgenmode", "none", "up");
                Ip("-n", NamespaceOf(host), "address", "add", $"fe80::{number}/64", "dev", "eth0", "nodad");
                if (routed)
                {
                    Ip("-n", NamespaceOf(host), "address", "add", $"{AddressOf(host)}/24", "dev", "eth0");
                    Ip("-n", NamespaceOf(host), "address", "add", $"fd31::{number}/64", "dev", "eth0", "nodad");
                }
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public TempFolder Folder { get; }

    /// <summary>The IPv4 address of a host.</summary>
    public static string AddressOf(string host) => host == Left ? "10.231.7.1" : "10.231.7.2";

    /// <summary>Starts p2pw on a host and leaves it running.</summary>
    public RunningCommand Start(string host, params string[] arguments)
    {
        var command = P2pw.Start(Launcher(host), NoVariables, arguments);
        _commands.Add(command);
        return command;
    }

    /// <summary>Runs p2pw on a host to its end.</summary>
    public Task<Outcome> RunAsync(string host, params string[] arguments) => Start(host, arguments).FinishAsync();

    /// <summary>Starts another program on a host.</summary>
    public RunningTool StartTool(string host, IReadOnlyDictionary<string, string> environment, params string[] line)
    {
        var tool = new RunningTool(environment, [.. Launcher(host), .. line]);
        _tools.Add(tool);
        return tool;
    }

    public void Dispose()
    {
        foreach (var command in _commands)
        {
            command.Dispose();
        }

        foreach (var tool in Enumerable.Reverse(_tools))
        {
            tool.Dispose();
        }

        foreach (var host in (string[])[Left, Right])
        {
            using var process = Process.Start(new ProcessStartInfo("ip", ["netns", "delete", NamespaceOf(host)]) { RedirectStandardError = true })!;
            process.StandardError.ReadToEnd();
            process.WaitForExit();
        }

        Folder.Dispose();
    }

    private string NamespaceOf(string host) => $"{_name}-{host}";

    /// <summary>Ahead of what else runs: mDNS gives whoever defends a name 750 ms (RFC 6762, section 8.1).</summary>
    private string[] Launcher(string host) => ["nice", "-n", "-15", "ip", "netns", "exec", NamespaceOf(host)];

    private static void Ip(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"ip {string.Join(' ', arguments)}: {error}");
    }
}
