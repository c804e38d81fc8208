using System.Runtime.InteropServices;

namespace P2PWeights.Native.Cuda.Imports;

/// <summary>
/// <c>cuMemcpyBatchAsync</c>, which came with CUDA 12.8 and has other parameters since 13.0. The driver is asked for the former, which newer ones have too, because what the library exports
/// under that name is not the same everywhere.
/// </summary>
internal static unsafe class CuBatch
{
    private const int Version = 12080;

    private static readonly delegate* unmanaged<nint*, nint*, nuint*, nuint, CUmemcpyAttributes*, nuint*, nuint, nuint*, nint, int> Function = Find();

    /// <summary>Whether this driver has it.</summary>
    public static bool IsAvailable => Function is not null;

    /// <summary>Does copies in any order, after what the stream was given before. They must not overlap.</summary>
    /// <param name="attributes">Of all of them.</param>
    public static int cuMemcpyBatchAsync(nint* destinations, nint* sources, nuint* bytes, int count, CUmemcpyAttributes* attributes, nint stream)
    {
        // The first copy that the attributes are of; and which copy failed, which the error says well enough.
        nuint first = 0, failed;
        return Function(destinations, sources, bytes, (nuint)count, attributes, &first, 1, &failed, stream);
    }

    private static delegate* unmanaged<nint*, nint*, nuint*, nuint, CUmemcpyAttributes*, nuint*, nuint, nuint*, nint, int> Find()
    {
        if (!NativeLibrary.TryLoad(Cu.Library, out var library) || !NativeLibrary.TryGetExport(library, nameof(Cu.cuGetProcAddress_v2), out _))
        {
            return null;
        }

        nint found = 0;
        int status;
        fixed (byte* name = "cuMemcpyBatchAsync\0"u8)
        {
            return Cu.cuGetProcAddress_v2(name, &found, Version, 0, &status) == Cu.CUDA_SUCCESS
                ? (delegate* unmanaged<nint*, nint*, nuint*, nuint, CUmemcpyAttributes*, nuint*, nuint, nuint*, nint, int>)found
                : null;
        }
    }
}
