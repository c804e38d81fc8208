using System.Diagnostics;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Folders;

/// <summary>A tmpfs of a few pages, mounted in a temporary folder for one test.</summary>
internal sealed class SmallDisk : IDisposable
{
    private readonly TempFolder _folder = new();

    public SmallDisk(string options) => Run("/usr/bin/mount", "-t", "tmpfs", "-o", options, "p2pw-test", _folder.Path);

    public string Path => _folder.Path;

    public string this[string relative] => _folder[relative];

    public void Remount(string options) => Run("/usr/bin/mount", "-o", $"remount,{options}", _folder.Path);

    public void Dispose()
    {
        Run("/usr/bin/umount", _folder.Path);
        _folder.Dispose();
    }

    private static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, error);
    }
}
