using System.Diagnostics;

namespace P2PWeights.Cli.Tests.Discovery;

/// <summary>A test on a network of its own, with avahi or without; skipped, with the reason, where network namespaces cannot be made or a tool is missing.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NetworkLabFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> NoNamespace = new(ProblemWithNamespaces);

    /// <param name="tools">Programs that the test runs.</param>
    public NetworkLabFactAttribute(params string[] tools) => Skip = NoNamespace.Value
        ?? (Array.Find(tools, tool => !Exists(tool)) is { } missing ? $"no {missing}: install the packages avahi-daemon, avahi-utils and dbus" : null);

    /// <summary>The programs of a test with <see cref="AvahiHost"/>.</summary>
    private static bool Exists(string tool) => new[] { "/usr/bin", "/usr/sbin", "/bin", "/sbin" }.Any(folder => File.Exists(Path.Combine(folder, tool)));

    private static string? ProblemWithNamespaces()
    {
        if (!Exists("ip"))
        {
            return "no ip: install the package iproute2";
        }

        if (!Environment.IsPrivilegedProcess)
        {
            return "network namespaces need root";
        }

        // Root of a container may do less than root.
        var name = $"p2pw-try-{Environment.ProcessId}";
        if (Run("netns", "add", name) is { } problem)
        {
            return $"no network namespaces here: {problem}";
        }

        Run("netns", "delete", name);
        return null;
    }

    private static string? Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("ip", arguments) { RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? null : error.Trim();
    }
}
