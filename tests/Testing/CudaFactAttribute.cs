using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl;
using Xunit;

namespace P2PWeights.Testing;

/// <summary>A test that needs GPUs; skipped, with the reason, on a machine without.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class CudaFactAttribute : FactAttribute
{
    /// <param name="devices">How many.</param>
    /// <param name="nccl">Whether NCCL is needed too.</param>
    public CudaFactAttribute(int devices = 1, bool nccl = false) => Skip =
        CudaLibrary.Unavailable
        ?? (CudaDevice.Count < devices ? $"needs {devices} GPUs, this process has {CudaDevice.Count}" : null)
        ?? (nccl ? NcclLibrary.Unavailable : null);
}
