using System.Runtime.InteropServices;

namespace P2PWeights.Native.Cuda.Imports;

/// <summary>
/// Imports from the CUDA driver (<c>cuda.h</c>), under their C names; the header maps many to the <c>_v2</c> that the library exports. Nothing here may be called
/// before <see cref="CudaLibrary.IsAvailable"/> said that the driver is there. Every function returns a <c>CUresult</c>, 0 for success. A copy on a stream may
/// report an earlier failure of the device: such errors stick to the context.
/// </summary>
internal static unsafe partial class Cu
{
    /// <summary>Comes with the kernel driver; 1 since CUDA 2.</summary>
    public const string Library = "libcuda.so.1";

    /// <summary>What errors call the library.</summary>
    public const string Name = "CUDA";

    // enum cudaError_enum
    public const int CUDA_SUCCESS = 0;
    public const int CUDA_ERROR_OUT_OF_MEMORY = 2;
    public const int CUDA_ERROR_NO_DEVICE = 100;
    public const int CUDA_ERROR_NOT_READY = 600;
    public const int CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED = 704;

    // enum CUdevice_attribute_enum
    public const int CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT = 40;
    public const int CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75;
    public const int CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76;

    // Flags of single functions.
    public const uint CU_MEMHOSTREGISTER_PORTABLE = 1;
    public const uint CU_STREAM_NON_BLOCKING = 1;
    public const uint CU_EVENT_BLOCKING_SYNC = 1;
    public const uint CU_EVENT_DISABLE_TIMING = 2;
    public const uint CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS = 1;

    // enum CUmemcpySrcAccessOrder: a source that is ready, and stays so, needs none.
    public const int CU_MEMCPY_SRC_ACCESS_ORDER_ANY = 3;

    [LibraryImport(Library)]
    public static partial int cuInit(uint flags);

    [LibraryImport(Library)]
    public static partial int cuDriverGetVersion(int* version);

    /// <summary>A function as a version of CUDA declared it; an error, or null, when the driver has none such. Exported since CUDA 12.0.</summary>
    /// <param name="symbol">Its name, zero-terminated.</param>
    [LibraryImport(Library)]
    public static partial int cuGetProcAddress_v2(byte* symbol, nint* function, int version, ulong flags, int* status);

    /// <summary>A text that lives as long as the library.</summary>
    [LibraryImport(Library)]
    public static partial int cuGetErrorString(int error, byte** text);

    /// <summary>A text that lives as long as the library.</summary>
    [LibraryImport(Library)]
    public static partial int cuGetErrorName(int error, byte** name);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetCount(int* count);

    [LibraryImport(Library)]
    public static partial int cuDeviceGet(int* device, int ordinal);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetName(byte* name, int length, int device);

    /// <summary>The driver's id of the device, or of the MIG slice where that is what the process was given. Since CUDA 11.4.</summary>
    [LibraryImport(Library)]
    public static partial int cuDeviceGetUuid_v2(byte* uuid, int device);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetAttribute(int* value, int attribute, int device);

    [LibraryImport(Library)]
    public static partial int cuDeviceTotalMem_v2(nuint* bytes, int device);

    [LibraryImport(Library)]
    public static partial int cuDeviceGetPCIBusId(byte* id, int length, int device);

    [LibraryImport(Library)]
    public static partial int cuDeviceCanAccessPeer(int* can, int device, int peer);

    [LibraryImport(Library)]
    public static partial int cuDevicePrimaryCtxRetain(nint* context, int device);

    [LibraryImport(Library)]
    public static partial int cuDevicePrimaryCtxRelease_v2(int device);

    [LibraryImport(Library)]
    public static partial int cuCtxSetCurrent(nint context);

    [LibraryImport(Library)]
    public static partial int cuCtxEnablePeerAccess(nint peer, uint flags);

    [LibraryImport(Library)]
    public static partial int cuMemGetInfo_v2(nuint* free, nuint* total);

    [LibraryImport(Library)]
    public static partial int cuMemAlloc_v2(nint* address, nuint bytes);

    [LibraryImport(Library)]
    public static partial int cuMemFree_v2(nint address);

    [LibraryImport(Library)]
    public static partial int cuMemHostRegister_v2(nint address, nuint bytes, uint flags);

    [LibraryImport(Library)]
    public static partial int cuMemHostUnregister(nint address);

    [LibraryImport(Library)]
    public static partial int cuIpcGetMemHandle(CUipcMemHandle* handle, nint address);

    [LibraryImport(Library)]
    public static partial int cuIpcOpenMemHandle_v2(nint* address, CUipcMemHandle handle, uint flags);

    [LibraryImport(Library)]
    public static partial int cuIpcCloseMemHandle(nint address);

    [LibraryImport(Library)]
    public static partial int cuMemcpyHtoDAsync_v2(nint destination, nint source, nuint bytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyDtoHAsync_v2(nint destination, nint source, nuint bytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyDtoDAsync_v2(nint destination, nint source, nuint bytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuMemcpyPeerAsync(nint destination, nint destinationContext, nint source, nint sourceContext, nuint bytes, nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamCreate(nint* stream, uint flags);

    [LibraryImport(Library)]
    public static partial int cuStreamSynchronize(nint stream);

    [LibraryImport(Library)]
    public static partial int cuStreamWaitEvent(nint stream, nint awaited, uint flags);

    [LibraryImport(Library)]
    public static partial int cuStreamDestroy_v2(nint stream);

    [LibraryImport(Library)]
    public static partial int cuEventCreate(nint* created, uint flags);

    [LibraryImport(Library)]
    public static partial int cuEventRecord(nint recorded, nint stream);

    [LibraryImport(Library)]
    public static partial int cuEventQuery(nint queried);

    [LibraryImport(Library)]
    public static partial int cuEventSynchronize(nint awaited);

    [LibraryImport(Library)]
    public static partial int cuEventDestroy_v2(nint destroyed);

    /// <summary>Throws unless the call succeeded.</summary>
    /// <param name="subject">What the call was about, for the message.</param>
    /// <exception cref="NativeException">It did not.</exception>
    public static void Check(int returned, string function, string? subject = null)
    {
        if (returned != CUDA_SUCCESS)
            throw Error(function, returned, subject);
    }

    /// <summary>The exception for a call that failed; null for one that did not.</summary>
    public static NativeException? Failure(int returned, string function, string? subject = null) =>
        returned == CUDA_SUCCESS ? null : Error(function, returned, subject);

    public static NativeException Error(string function, int returned, string? subject = null) => new(Name, function, returned, TextOf(returned), subject);

    /// <summary>The driver's name and words for a code.</summary>
    public static string TextOf(int code)
    {
        byte* name = null, text = null;
        return cuGetErrorName(code, &name) == CUDA_SUCCESS && cuGetErrorString(code, &text) == CUDA_SUCCESS
            ? $"{Marshal.PtrToStringUTF8((nint)name)}, {Marshal.PtrToStringUTF8((nint)text)}"
            : "an error that this driver has no text for";
    }
}
