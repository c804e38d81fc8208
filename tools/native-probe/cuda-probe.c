/* Prints, as "name value" lines, what cuda.h says about every constant and struct that src/Native/Cuda states by hand.
   tests/Native.Tests compiles and runs it with cc where the header is installed, and compares. Needs no driver and no device. */
#include <cuda.h>
#include <stdio.h>

#if CUDA_VERSION < 12080 /* Declared since then: an older header has nothing to compare with. */
typedef struct { int order; CUmemLocation source, destination; unsigned flags; } CUmemcpyAttributes;
enum { CU_MEMCPY_SRC_ACCESS_ORDER_ANY = 3 };
#endif

#define VALUE(name) printf(#name " %lld\n", (long long)(name))
#define SIZE(type) printf(#type " %zu\n", sizeof(type))

int main(void) {
    SIZE(CUipcMemHandle); SIZE(CUuuid); SIZE(CUdevice); SIZE(CUdeviceptr); SIZE(CUmemLocation); SIZE(CUmemcpyAttributes);
    VALUE(CUDA_SUCCESS); VALUE(CUDA_ERROR_OUT_OF_MEMORY); VALUE(CUDA_ERROR_NO_DEVICE); VALUE(CUDA_ERROR_NOT_READY); VALUE(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED);
    VALUE(CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT); VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR); VALUE(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
    VALUE(CU_MEMHOSTREGISTER_PORTABLE); VALUE(CU_STREAM_NON_BLOCKING); VALUE(CU_EVENT_BLOCKING_SYNC); VALUE(CU_EVENT_DISABLE_TIMING);
    VALUE(CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS); VALUE(CU_MEMCPY_SRC_ACCESS_ORDER_ANY);
    return 0;
}
