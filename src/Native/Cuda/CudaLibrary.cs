using System.Globalization;
using System.Runtime.InteropServices;
using P2PWeights.Native.Cuda.Imports;

namespace P2PWeights.Native.Cuda;

/// <summary>
/// The CUDA driver. It is loaded and initialised at the first look and stays so; a machine without it, or without a GPU that this process may use, can say why.
/// Everything else in this namespace throws where it is not available.
/// </summary>
public static unsafe class CudaLibrary
{
    /// <summary>CUDA 11.4, whose driver was the first with <c>cuDeviceGetUuid_v2</c>.</summary>
    private const int OldestVersion = 11040;

    private static readonly Lazy<string?> Problem = new(Load);

    /// <summary>Whether the driver is there, new enough, and has a device for this process.</summary>
    public static bool IsAvailable => Problem.Value is null;

    /// <summary>Why there is no CUDA here, and what to do, in one sentence; null when there is.</summary>
    public static string? Unavailable => Problem.Value;

    /// <summary>The newest CUDA that the driver serves, as <c>13.0</c>.</summary>
    public static string Version
    {
        get
        {
            int version;
            Cu.Check(Cu.cuDriverGetVersion(&version), "cuDriverGetVersion");
            return TextOf(version);
        }
    }

    /// <summary>Loads and initialises the driver, unless that has been done. Every way into this namespace begins here, so that no caller can forget it.</summary>
    /// <exception cref="NativeException">There is no CUDA here; the message says why.</exception>
    internal static void Require()
    {
        if (Problem.Value is { } why)
            throw new NativeException(Cu.Name, nameof(Cu.cuInit), Cu.CUDA_ERROR_NO_DEVICE, why);
    }

    /// <summary>Whether a call failed because a device had no memory left.</summary>
    public static bool IsOutOfMemory(NativeException failure) => failure.Library == Cu.Name && failure.Code == Cu.CUDA_ERROR_OUT_OF_MEMORY;

    /// <summary>CUDA counts versions as 1000 x major + 10 x minor.</summary>
    internal static string TextOf(int version) => string.Create(CultureInfo.InvariantCulture, $"{version / 1000}.{version % 1000 / 10}");

    private static string? Load()
    {
        if (!OperatingSystem.IsLinux())
            return "CUDA is used on Linux only";
        if (!NativeLibrary.TryLoad(Cu.Library, out var library))
            return $"{Cu.Library} is not there: it comes with NVIDIA's driver, and into a container by its runtime (--gpus)";

        // The youngest function that is needed; whoever has it has the others, but for those that are looked up one by one (CuBatch).
        if (!NativeLibrary.TryGetExport(library, nameof(Cu.cuDeviceGetUuid_v2), out _))
            return $"{Cu.Library} is too old: a driver for CUDA {TextOf(OldestVersion)} or later is needed";
        var initialised = Cu.cuInit(0);
        if (initialised == Cu.CUDA_ERROR_NO_DEVICE)
            return "NVIDIA's driver shows this process no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES";
        if (initialised != Cu.CUDA_SUCCESS)
            return $"NVIDIA's driver does not start: {Cu.TextOf(initialised)} ({initialised}); look at nvidia-smi";
        int count;
        return Cu.cuDeviceGetCount(&count) == Cu.CUDA_SUCCESS && count > 0 ? null : "NVIDIA's driver shows this process no GPU: look at nvidia-smi and CUDA_VISIBLE_DEVICES";
    }
}
