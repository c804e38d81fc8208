using P2PWeights.Native.Cuda;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>A test that needs torch in the system's Python (Debian package python3-torch, some 150 MB with what it needs).</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class TorchFactAttribute : FactAttribute
{
    /// <param name="gpu">Whether it needs a GPU too.</param>
    public TorchFactAttribute(bool gpu = false) => Skip =
        (gpu ? CudaLibrary.Unavailable : null) ?? (PythonModules.AreThere("/usr/bin/python3", "torch") ? null : "the system's Python has no torch: apt-get install python3-torch");
}
