using System.Diagnostics;
using System.Globalization;

namespace P2PWeights.Cli.Tests.Support;

/// <summary>A file system of its own with little room; needs root.</summary>
public sealed class SmallDisk : IDisposable
{
    private readonly string _path;

    private SmallDisk(string path) => _path = path;

    public static SmallDisk Mount(string path, long bytes)
    {
        Run("mount", "-t", "tmpfs", "-o", string.Create(CultureInfo.InvariantCulture, $"size={bytes}"), "p2pw-test", path);
        return new SmallDisk(path);
    }

    public void Resize(long bytes) => Run("mount", "-o", string.Create(CultureInfo.InvariantCulture, $"remount,size={bytes}"), _path);

    public void Dispose() => Run("umount", "--lazy", _path);

    private static void Run(string command, params string[] arguments)
    {
        using var process = Process.Start(command, arguments);
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{command} {string.Join(' ', arguments)} failed with {process.ExitCode}");
    }
}

/// <summary>A test that mounts: skipped with the reason where that is not allowed.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class MountingFactAttribute : FactAttribute
{
    public MountingFactAttribute()
    {
        if (!MayMount())
            Skip = "needs root and the right to mount a tmpfs";
    }

    private static bool MayMount()
    {
        if (!Environment.IsPrivilegedProcess)
            return false;
        var folder = Directory.CreateTempSubdirectory("p2pw-mount-");
        try
        {
            using var probe = Process.Start(new ProcessStartInfo("mount", ["-t", "tmpfs", "-o", "size=64k", "p2pw-probe", folder.FullName]) { RedirectStandardError = true })!;
            probe.WaitForExit();
            if (probe.ExitCode != 0)
                return false;
            using var unmount = Process.Start("umount", [folder.FullName]);
            unmount.WaitForExit();
            return true;
        }
        finally
        {
            folder.Delete();
        }
    }
}
