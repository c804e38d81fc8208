using System.Runtime.InteropServices;
using P2PWeights.Native.Cuda.Imports;

namespace P2PWeights.Native.Cuda;

/// <summary>
/// Host memory that every device of this process copies from and to at full speed: pinned, at 11 to 15 GB/s, once. The memory must stay mapped until the registration
/// is released; giving its handle as <c>owner</c> makes sure of it.
/// </summary>
public sealed class RegisteredMemory : NativeHandle
{
    private readonly CudaDevice _device;

    private RegisteredMemory(CudaDevice device, params ReadOnlySpan<SafeHandle> parents)
        : base(parents) => _device = device;

    /// <param name="device">Any device: the registration is every device's.</param>
    /// <param name="owner">What keeps the memory mapped; null when the caller sees to it.</param>
    /// <exception cref="NativeException">Not mapped, registered already in part, or too much to be pinned.</exception>
    public static RegisteredMemory Register(CudaDevice device, nint address, long length, SafeHandle? owner = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        var registered = owner is null ? new RegisteredMemory(device, device) : new RegisteredMemory(device, device, owner);
        using var current = device.MakeCurrent();
        var returned = Cu.cuMemHostRegister_v2(address, (nuint)length, Cu.CU_MEMHOSTREGISTER_PORTABLE);
        registered.Own(address, Cu.Failure(returned, "cuMemHostRegister", $"{length} bytes of host memory"));
        return registered;
    }

    private protected override NativeException? TryRelease(nint native)
    {
        using var current = _device.MakeCurrent();
        return Cu.Failure(Cu.cuMemHostUnregister(native), "cuMemHostUnregister");
    }
}
