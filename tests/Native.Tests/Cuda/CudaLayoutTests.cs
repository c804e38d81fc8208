using System.Runtime.InteropServices;
using P2PWeights.Native.Cuda.Imports;
using P2PWeights.Native.Nccl.Imports;

namespace P2PWeights.Native.Tests.Cuda;

public sealed class CudaLayoutTests
{
    [CudaHeaderFact("cuda.h")]
    public Task Structs_and_constants_are_those_of_the_cuda_header() => CProbe.AssertStatesAsync(
        "cuda-probe.c",
        new Dictionary<string, long>
        {
            ["CUipcMemHandle"] = Marshal.SizeOf<CUipcMemHandle>(),
            ["CUuuid"] = Marshal.SizeOf<Guid>(),
            ["CUdevice"] = sizeof(int),
            ["CUdeviceptr"] = nint.Size,
            ["CUmemLocation"] = Marshal.SizeOf<CUmemLocation>(),
            ["CUmemcpyAttributes"] = Marshal.SizeOf<CUmemcpyAttributes>(),
            ["CUDA_SUCCESS"] = Cu.CUDA_SUCCESS,
            ["CUDA_ERROR_OUT_OF_MEMORY"] = Cu.CUDA_ERROR_OUT_OF_MEMORY,
            ["CUDA_ERROR_NO_DEVICE"] = Cu.CUDA_ERROR_NO_DEVICE,
            ["CUDA_ERROR_NOT_READY"] = Cu.CUDA_ERROR_NOT_READY,
            ["CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED"] = Cu.CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED,
            ["CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT"] = Cu.CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT,
            ["CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR"] = Cu.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
            ["CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR"] = Cu.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
            ["CU_MEMHOSTREGISTER_PORTABLE"] = Cu.CU_MEMHOSTREGISTER_PORTABLE,
            ["CU_STREAM_NON_BLOCKING"] = Cu.CU_STREAM_NON_BLOCKING,
            ["CU_EVENT_BLOCKING_SYNC"] = Cu.CU_EVENT_BLOCKING_SYNC,
            ["CU_EVENT_DISABLE_TIMING"] = Cu.CU_EVENT_DISABLE_TIMING,
            ["CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS"] = Cu.CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS,
            ["CU_MEMCPY_SRC_ACCESS_ORDER_ANY"] = Cu.CU_MEMCPY_SRC_ACCESS_ORDER_ANY,
        },
        CudaHeaderFactAttribute.IncludeOptions);

    [CudaHeaderFact("cuda.h", "nccl.h")]
    public Task Constants_are_those_of_the_nccl_header() => CProbe.AssertStatesAsync(
        "nccl-probe.c",
        new Dictionary<string, long>
        {
            ["ncclSuccess"] = NcclImports.Success,
            ["ncclInProgress"] = NcclImports.InProgress,
            ["ncclUint8"] = NcclImports.Uint8,
        },
        CudaHeaderFactAttribute.IncludeOptions);

    [Fact]
    public void An_exported_handle_is_64_bytes_that_come_back_as_they_were()
    {
        var bytes = Enumerable.Range(0, CUipcMemHandle.Size).Select(number => (byte)number).ToArray();

        Assert.Equal(64, Marshal.SizeOf<CUipcMemHandle>());
        Assert.Equal(bytes, CUipcMemHandle.From(bytes).ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => CUipcMemHandle.From(bytes.AsSpan(1)));
    }
}
