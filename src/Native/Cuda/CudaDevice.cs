using System.Runtime.InteropServices;
using P2PWeights.Native.Cuda.Imports;

namespace P2PWeights.Native.Cuda;

/// <summary>
/// A GPU, with its primary context: the one that the CUDA runtime, torch and NCCL use in this process as well. Holding it costs some hundred MB of the GPU's memory.
/// </summary>
/// <remarks>
/// The driver keeps a current context per thread, and asynchronous code changes threads: so every operation of this namespace makes its own context current first.
/// </remarks>
public sealed unsafe class CudaDevice : NativeHandle
{
    private const int NameBytes = 256;
    private const int UuidBytes = 16;
    private const int BusIdBytes = 16;

    private readonly int _device;

    private CudaDevice(int ordinal, int device) => (Ordinal, _device) = (ordinal, device);

    /// <summary>Counted from 0 over the devices that this process may use, as NCCL counts them too.</summary>
    public int Ordinal { get; }

    /// <summary>As <c>NVIDIA H200</c>.</summary>
    public string Name
    {
        get
        {
            var name = stackalloc byte[NameBytes];
            Cu.Check(Cu.cuDeviceGetName(name, NameBytes, _device), "cuDeviceGetName");
            return Marshal.PtrToStringUTF8((nint)name)!;
        }
    }

    /// <summary>As nvidia-smi and engines write it: <c>GPU-</c> and 36 characters.</summary>
    public string Uuid => UuidOf(_device);

    /// <summary>As <c>0000:1b:00.0</c>.</summary>
    public string PciBusId
    {
        get
        {
            var id = stackalloc byte[BusIdBytes];
            Cu.Check(Cu.cuDeviceGetPCIBusId(id, BusIdBytes, _device), "cuDeviceGetPCIBusId");
            return Marshal.PtrToStringUTF8((nint)id)!.ToLowerInvariant();
        }
    }

    /// <summary>Bytes of memory, in use or not.</summary>
    public long TotalBytes
    {
        get
        {
            nuint bytes;
            Cu.Check(Cu.cuDeviceTotalMem_v2(&bytes, _device), "cuDeviceTotalMem");
            return (long)bytes;
        }
    }

    /// <summary>Bytes that could be allocated now, by any process.</summary>
    public long FreeBytes
    {
        get
        {
            using var current = MakeCurrent();
            nuint free, total;
            Cu.Check(Cu.cuMemGetInfo_v2(&free, &total), "cuMemGetInfo", Name);
            return (long)free;
        }
    }

    /// <summary>Copies that run beside each other and beside kernels.</summary>
    public int CopyEngines => Attribute(Cu.CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT);

    /// <summary>As <c>9.0</c>.</summary>
    public string ComputeCapability =>
        $"{Attribute(Cu.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)}.{Attribute(Cu.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)}";

    /// <summary>Devices that this process may use.</summary>
    /// <exception cref="NativeException">The driver failed.</exception>
    public static int Count
    {
        get
        {
            CudaLibrary.Require();
            int count;
            Cu.Check(Cu.cuDeviceGetCount(&count), "cuDeviceGetCount");
            return count;
        }
    }

    /// <summary><see cref="Uuid"/> of every device, by <see cref="Ordinal"/>; read without opening any, which would take its memory.</summary>
    /// <exception cref="NativeException">The driver failed.</exception>
    public static IReadOnlyList<string> Uuids
    {
        get
        {
            var uuids = new string[Count];
            for (var ordinal = 0; ordinal < uuids.Length; ordinal++)
            {
                int device;
                Cu.Check(Cu.cuDeviceGet(&device, ordinal), "cuDeviceGet", $"GPU {ordinal}");
                uuids[ordinal] = UuidOf(device);
            }

            return uuids;
        }
    }

    /// <summary>Opens a device.</summary>
    /// <exception cref="NativeException">No such device, or no memory for its context.</exception>
    public static CudaDevice Open(int ordinal)
    {
        CudaLibrary.Require();
        int device;
        Cu.Check(Cu.cuDeviceGet(&device, ordinal), "cuDeviceGet", $"GPU {ordinal}");
        var opened = new CudaDevice(ordinal, device);
        nint context;
        var returned = Cu.cuDevicePrimaryCtxRetain(&context, device);
        opened.Own(context, Cu.Failure(returned, "cuDevicePrimaryCtxRetain", $"GPU {ordinal}"));
        return opened;
    }

    /// <summary>Whether copies to the peer go over NVLink or PCIe without a stop in host memory.</summary>
    public bool CanAccess(CudaDevice peer)
    {
        int can;
        Cu.Check(Cu.cuDeviceCanAccessPeer(&can, _device, peer._device), "cuDeviceCanAccessPeer", Name);
        return can != 0;
    }

    /// <summary>Lets this device reach the peer's memory. Idempotent, and lasts as long as both contexts.</summary>
    /// <exception cref="NativeException">The two cannot: <see cref="CanAccess"/>.</exception>
    public void EnableAccess(CudaDevice peer)
    {
        using var other = peer.Use();
        using var current = MakeCurrent();
        var returned = Cu.cuCtxEnablePeerAccess(other.Pointer, 0);
        if (returned != Cu.CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED)
            Cu.Check(returned, "cuCtxEnablePeerAccess", Name);
    }

    /// <summary>Makes the device's context the thread's, and keeps it from being released until the hold is disposed.</summary>
    internal Hold MakeCurrent()
    {
        var hold = Use();
        var returned = Cu.cuCtxSetCurrent(hold.Pointer);
        if (returned == Cu.CUDA_SUCCESS)
            return hold;
        hold.Dispose();
        throw Cu.Error("cuCtxSetCurrent", returned, $"GPU {Ordinal}");
    }

    /// <summary>The 16 bytes in the order of their hex digits: CUDA's ids do not follow the mixed order of <see cref="Guid"/>.</summary>
    internal static string TextOf(ReadOnlySpan<byte> uuid) => $"GPU-{new Guid(uuid, bigEndian: true):D}";

    private protected override NativeException? TryRelease(nint native) => Cu.Failure(Cu.cuDevicePrimaryCtxRelease_v2(_device), "cuDevicePrimaryCtxRelease");

    private static string UuidOf(int device)
    {
        var uuid = stackalloc byte[UuidBytes];
        Cu.Check(Cu.cuDeviceGetUuid_v2(uuid, device), "cuDeviceGetUuid");
        return TextOf(new ReadOnlySpan<byte>(uuid, UuidBytes));
    }

    private int Attribute(int attribute)
    {
        int value;
        Cu.Check(Cu.cuDeviceGetAttribute(&value, attribute, _device), "cuDeviceGetAttribute", Name);
        return value;
    }
}
