using System.Runtime.InteropServices;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>
/// libibverbs, the user-space half of RDMA (rdma-core). It is loaded at the first look and stays loaded; a machine without it has no RDMA
/// and can say why. Everything else in this namespace needs <see cref="IsAvailable"/>.
/// </summary>
public static class VerbsLibrary
{
    private static readonly Lazy<string?> Problem = new(Load);

    /// <summary>Whether the library is there and new enough. It says nothing of devices.</summary>
    public static bool IsAvailable => Problem.Value is null;

    /// <summary>Why there is no RDMA at all here, and what to do, in one sentence; null when the library is there.</summary>
    public static string? Unavailable => Problem.Value;

    private static string? Load()
    {
        if (!OperatingSystem.IsLinux())
            return "RDMA verbs exist on Linux only";
        if (!NativeLibrary.TryLoad(Ibv.Library, out var library))
            return $"{Ibv.Library} is not installed: install the packages libibverbs1 and ibverbs-providers";

        // The youngest function that is used; whoever has it has the others.
        return NativeLibrary.TryGetExport(library, nameof(Ibv._ibv_query_gid_table), out _)
            ? null
            : $"{Ibv.Library} is too old: rdma-core 32 or later is needed";
    }
}
