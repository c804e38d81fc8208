using System.Diagnostics;
using System.Globalization;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Paths;

/// <summary>The path <c>rdma</c>, reads alone, against ib_read_bw; in the machine of tools/rdma-lab where this one has no device.</summary>
internal static class RdmaContest
{
    private const string DevicesFolder = "/sys/class/infiniband";

    /// <summary>Both ends of the first rail of the lab.</summary>
    private static readonly (string Source, string Reader) LabDevices = ("rxp0", "rxe0");

    public static IReadOnlyList<Tool> Tools => [IbReadBw.Command];

    private static string[] Devices => Directory.Exists(DevicesFolder) ? [.. Directory.GetDirectories(DevicesFolder).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)] : [];

    public static void Explain(FigureWriter writer)
    {
        if (Devices.Length == 0)
        {
            writer.Explain("rdma: no RDMA device here, so this runs in the emulated machine of tools/rdma-lab, where all is slow and ratios hold.");
            return;
        }

        writer.Explain("rdma: shards of 16 MiB read from another process's memory tier into this one's, each under a lease, neither hashed nor committed: the path alone.");
        writer.Explain("rdma/ib_read_bw: `ib_read_bw -s 1048576 -q 2` between the same devices. Only processes are in the CPU figures; what soft-RoCE does in kernel threads is in nobody's.");
    }

    public static async Task RunAsync(long size, int runs, string label, FigureWriter writer, CancellationToken cancellationToken)
    {
        var devices = Devices;
        if (devices.Length == 0)
        {
            await RunInLabAsync(size, runs, writer, cancellationToken);
            return;
        }

        var (source, reader) = devices.Contains(LabDevices.Source) ? LabDevices : (devices[0], devices[0]);
        writer.Explain($"rdma: from {source} to {reader}.");
        await using var reads = await RdmaReader.StartAsync(source, reader, cancellationToken);
        writer.Write(await Rounds.MeasureAsync(
            PathsBench.Unit,
            runs,
            token => reads.ReadAsync(size, token),
            [($"paths/rdma/{label}/ib_read_bw", token => IbReadBw.ReadAsync(source, reader, size, token))],
            cancellationToken));
    }

    /// <summary>The same command again, in the lab's machine; its figures come out as if they were ours.</summary>
    private static async Task RunInLabAsync(long size, int runs, FigureWriter writer, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(
            FindLab(),
            [
                "--both-ends", "--timeout", "1500", "dotnet", Environment.GetCommandLineArgs()[0],
                "paths", "--path", "rdma", "--size", size.ToString(CultureInfo.InvariantCulture), "--runs", runs.ToString(CultureInfo.InvariantCulture), .. writer.Json ? ["--json"] : Array.Empty<string>(),
            ]);
        using var lab = Process.Start(start)!;
        try
        {
            await lab.WaitForExitAsync(cancellationToken);
        }
        finally
        {
            Tool.Kill(lab);
        }

        if (lab.ExitCode != 0)
        {
            throw new BenchException($"the benchmark in tools/rdma-lab ended with exit code {lab.ExitCode}; its reason is above");
        }
    }

    private static string FindLab()
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            var lab = Path.Combine(folder.FullName, "tools", "rdma-lab", "rdma-lab");
            if (File.Exists(lab))
            {
                return lab;
            }
        }

        throw new BenchException("this machine has no RDMA device, and tools/rdma-lab is not in a folder above this program: run it from a clone of the repository");
    }
}
