using System.Globalization;
using System.Runtime.InteropServices;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl.Imports;

namespace P2PWeights.Native.Nccl;

/// <summary>NVIDIA's library of collective operations. It is loaded at the first look and stays loaded; a machine without it, or without CUDA, can say why.</summary>
public static unsafe class NcclLibrary
{
    /// <summary>2.14: the first whose failures come with words.</summary>
    private const int OldestVersion = 21400;

    private static readonly Lazy<string?> Problem = new(Load);

    /// <summary>Whether the library and CUDA are there. Everything else in this namespace needs it.</summary>
    public static bool IsAvailable => Problem.Value is null;

    /// <summary>Why there is no NCCL here, and what to do, in one sentence; null when there is.</summary>
    public static string? Unavailable => Problem.Value;

    /// <summary>As <c>2.28.9</c>.</summary>
    public static string Version
    {
        get
        {
            int version;
            NcclImports.Check(NcclImports.ncclGetVersion(&version), "ncclGetVersion");
            return TextOf(version);
        }
    }

    /// <summary>NCCL counts versions as 10000 x major + 100 x minor + patch, before 2.9 as 1000 x major.</summary>
    internal static string TextOf(int version) => version >= 10_000
        ? string.Create(CultureInfo.InvariantCulture, $"{version / 10_000}.{version / 100 % 100}.{version % 100}")
        : string.Create(CultureInfo.InvariantCulture, $"{version / 1000}.{version / 100 % 10}.{version % 100}");

    private static string? Load()
    {
        if (!CudaLibrary.IsAvailable)
            return CudaLibrary.Unavailable;
        if (!NativeLibrary.TryLoad(NcclImports.Library, out var library))
            return $"{NcclImports.Library} is not there: install NVIDIA's package libnccl2, or name the folder of another copy, torch's for instance, in LD_LIBRARY_PATH";
        if (!NativeLibrary.TryGetExport(library, nameof(NcclImports.ncclGetLastError), out _))
            return $"{NcclImports.Library} is too old: NCCL {TextOf(OldestVersion)} or later is needed";
        int version;
        return NcclImports.ncclGetVersion(&version) == NcclImports.Success && version >= OldestVersion
            ? null
            : $"{NcclImports.Library} is too old: NCCL {TextOf(OldestVersion)} or later is needed";
    }
}
