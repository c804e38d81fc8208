using System.Globalization;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using P2PWeights.Cli.Output;
using P2PWeights.Client;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Doctor;

/// <summary>Checks of this machine against the settings of its node. They read and change nothing.</summary>
internal static class MachineChecks
{
    /// <summary>Descriptors below which a node with many peers and open files gets into trouble.</summary>
    private const long FewOpenFiles = 4096;

    public static IEnumerable<Finding> All(NodeOptions node)
    {
        yield return new("system", Outcome.Note, $"{RuntimeInformation.OSDescription}, {Environment.ProcessorCount} CPUs, {RuntimeInformation.FrameworkDescription}");
        yield return HashWidth();
        yield return OpenFiles(ProcessLimits.Current());
        yield return Arena(node.ArenaRoot, Directory.Exists(node.ArenaRoot) ? Free(node.ArenaRoot) : null, node.MemoryBytes);
        yield return Disk(node.DataDirectory, Free(node.DataDirectory), node.DiskBytes);
        yield return Paths(node);
    }

    /// <summary>The vector width that hashing takes on this CPU: it decides the speed of publish and pull.</summary>
    private static Finding HashWidth() => new(
        "hashing",
        Vector256.IsHardwareAccelerated ? Outcome.Ok : Outcome.Warning,
        (Vector512.IsHardwareAccelerated, Vector256.IsHardwareAccelerated, Vector128.IsHardwareAccelerated) switch
        {
            (true, _, _) => "BLAKE3 in 512-bit vectors, 16 chunks at a time",
            (_, true, _) => "BLAKE3 in 256-bit vectors, 8 chunks at a time",
            (_, _, true) => "BLAKE3 in 128-bit vectors: a CPU with AVX2 hashes twice as fast",
            _ => "BLAKE3 without vectors: a CPU with AVX2 hashes several times as fast",
        });

    public static Finding OpenFiles(ProcessLimits limits) => limits.OpenFiles is not { } open
        ? new("open files", Outcome.Ok, "no limit")
        : open >= FewOpenFiles
            ? new("open files", Outcome.Ok, $"{open} allowed")
            : new("open files", Outcome.Warning, $"{open} allowed: a busy node needs more. Raise it: ulimit -n {FewOpenFiles}, or LimitNOFILE= in the unit");

    /// <param name="root">The mount that is to hold the arena.</param>
    /// <param name="free">Bytes free in it; null when it is not there.</param>
    public static Finding Arena(string root, long? free, long memoryBytes) => (free, memoryBytes) switch
    {
        (_, 0) => new("memory tier", Outcome.Note, "none (--memory 0)"),
        (null, _) => new("memory tier", Outcome.Failure, $"{root} is not there: mount a tmpfs on it, or run without a memory tier: --memory 0"),
        ({ } bytes, _) when bytes < memoryBytes => new(
            "memory tier", Outcome.Failure, $"{Format.Bytes(memoryBytes)} wanted, {Format.Bytes(bytes)} free in {root}: lower --memory, or mount -o remount,size=... {root}"),
        ({ } bytes, _) => new("memory tier", Outcome.Ok, $"{Format.Bytes(memoryBytes)} of {Format.Bytes(bytes)} free in {root}"),
    };

    /// <param name="free">Bytes free; null when nobody can say.</param>
    public static Finding Disk(string folder, long? free, long diskBytes) => free switch
    {
        null => new("disk tier", Outcome.Warning, $"{folder}: the free space cannot be told"),
        { } bytes when bytes < diskBytes => new("disk tier", Outcome.Warning, $"{Format.Bytes(diskBytes)} wanted, {Format.Bytes(bytes)} free for {folder}: lower --disk or make room"),
        { } bytes => new("disk tier", Outcome.Ok, $"{Format.Bytes(diskBytes)} of {Format.Bytes(bytes)} free for {folder}"),
    };

    /// <summary>Bytes free where a folder is or would be made; null when the file system does not tell.</summary>
    public static long? Free(string folder)
    {
        var existing = folder;
        while (existing is not null && !Directory.Exists(existing))
            existing = Path.GetDirectoryName(existing);
        try
        {
            return existing is null ? null : new DriveInfo(existing).AvailableFreeSpace;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Bytes of memory that could be taken now, within the limit of a container; null when nobody can say.</summary>
    public static long? FreeMemory()
    {
        try
        {
            var line = File.ReadLines("/proc/meminfo").FirstOrDefault(line => line.StartsWith("MemAvailable:", StringComparison.Ordinal));
            return line is null ? null : Math.Min(long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) << 10, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            return null;
        }
    }

    private static Finding Paths(NodeOptions node)
    {
        // Without memory on a GPU a node has no nvlink, whatever it may take.
        var possible = PathNames.All.Where(path => path != PathNames.Nvlink || node.GpuMemory.Count > 0);
        List<string> allowed = [.. node.Paths.Intersect(possible)];
        List<string> off = [.. possible.Except(allowed)];
        return new(
            "paths",
            allowed.Contains(PathNames.Tcp) ? Outcome.Ok : Outcome.Warning,
            $"{string.Join(", then ", allowed)}{(off.Count > 0 ? $"; off: {string.Join(", ", off)}" : "")}"
            + (allowed.Contains(PathNames.Tcp) ? "" : $": peers that {(allowed.Count == 1 ? "it does" : "they do")} not reach cannot be pulled from, allow {PathNames.Tcp} too"));
    }
}
