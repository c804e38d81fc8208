using System.Diagnostics;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>A test that needs torch in the system's Python (Debian package python3-torch, some 150 MB with what it needs).</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TorchFactAttribute : FactAttribute
{
    /// <param name="gpu">Whether it needs a GPU too.</param>
    public TorchFactAttribute(bool gpu = false) => Skip =
        (gpu ? CudaLibrary.Unavailable : null) ?? (IsThere.Value ? null : "the system's Python has no torch: apt-get install python3-torch");

    private static Lazy<bool> IsThere { get; } = new(() =>
    {
        using var look = Process.Start(new ProcessStartInfo("/usr/bin/python3", ["-c", "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"]))!;
        look.WaitForExit();
        return look.ExitCode == 0;
    });
}
