using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Tests.Gpu;

/// <summary>A test that needs GPUs; skipped, with the reason, on a machine without.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaFactAttribute : FactAttribute
{
    /// <param name="devices">How many.</param>
    public CudaFactAttribute(int devices = 1) => Skip =
        CudaLibrary.Unavailable ?? (CudaDevice.Count < devices ? $"needs {devices} GPUs, this process has {CudaDevice.Count}" : null);
}
