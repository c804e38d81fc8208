using P2PWeights.Cli.Output;
using P2PWeights.Native;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl;
using P2PWeights.Store;

namespace P2PWeights.Cli.Doctor;

/// <summary>Checks of what an update into GPUs would run on: each GPU, how they reach each other, NCCL; or why there is none. They open devices, and change nothing.</summary>
internal static class GpuChecks
{
    private const string Check = "gpu";

    /// <summary>The devices of this machine, and whether the gpu tier finds room on those that it wants.</summary>
    public static IReadOnlyList<Finding> All(IReadOnlyList<GpuMemory> wanted)
    {
        if (CudaLibrary.Unavailable is { } reason)
            return
            [
                new(Check, Outcome.Note, $"none: {reason}. Only updates of engines on GPUs and --gpu-memory need one"),
                .. wanted.Where(memory => memory.Ordinal is not null).Select(memory => Room(memory, null)),
            ];
        List<CudaDevice> devices = [];
        List<Finding> findings = [];
        try
        {
            for (var ordinal = 0; ordinal < CudaDevice.Count; ordinal++)
            {
                try
                {
                    var device = CudaDevice.Open(ordinal);
                    devices.Add(device);
                    findings.Add(new($"{Check} {ordinal}", Outcome.Ok, Describe(device)));
                }
                catch (NativeException exception)
                {
                    findings.Add(new($"{Check} {ordinal}", Outcome.Warning, exception.Message));
                }
            }

            findings.AddRange(wanted.Where(memory => memory.Ordinal is not null)
                .Select(memory => Room(memory, devices.Find(device => device.Ordinal == memory.Ordinal)?.FreeBytes)));
            if (devices.Count > 1)
                findings.Add(Peers([.. Unreachable(devices)]));
        }
        finally
        {
            devices.ForEach(device => device.Dispose());
        }

        findings.Add(NcclLibrary.Unavailable is { } missing
            ? new("nccl", Outcome.Note, $"none: {missing}. Only updates with --broadcast nccl need it")
            : new("nccl", Outcome.Ok, $"NCCL {NcclLibrary.Version}"));
        return findings;
    }

    /// <param name="unreachable">Pairs of GPUs without direct access.</param>
    public static Finding Peers(IReadOnlyList<(int From, int To)> unreachable) => unreachable.Count == 0
        ? new("gpu to gpu", Outcome.Ok, "every GPU reaches every other directly")
        : new(
            "gpu to gpu",
            Outcome.Warning,
            $"no direct access {string.Join(", ", unreachable.Select(pair => Format.Invariant($"from {pair.From} to {pair.To}")))}: copies between them stop in host memory, which costs most of the speed of an update");

    /// <param name="free">Bytes free on that GPU; null when there is no such GPU. A node that runs holds its share already.</param>
    public static Finding Room(GpuMemory memory, long? free) => free switch
    {
        null => new($"gpu memory {memory.Device}", Outcome.Failure, $"--gpu-memory names GPU {memory.Device}, which this machine does not have: a node will not start; leave it out"),
        { } bytes when bytes < memory.Bytes => new(
            $"gpu memory {memory.Device}", Outcome.Warning, $"{Format.Bytes(memory.Bytes)} wanted, {Format.Bytes(bytes)} free: unless the running node holds them, it will not start; give --gpu-memory less"),
        { } bytes => new($"gpu memory {memory.Device}", Outcome.Ok, $"{Format.Bytes(memory.Bytes)} wanted, {Format.Bytes(bytes)} free"),
    };

    private static IEnumerable<(int From, int To)> Unreachable(IReadOnlyList<CudaDevice> devices) =>
        from one in devices
        from other in devices
        where one != other && !one.CanAccess(other)
        select (one.Ordinal, other.Ordinal);

    private static string Describe(CudaDevice device) => string.Join(
        ", ",
        device.Name,
        device.Uuid,
        $"{Format.Bytes(device.FreeBytes)} of {Format.Bytes(device.TotalBytes)} free",
        $"PCI {device.PciBusId}",
        Format.Invariant($"compute capability {device.ComputeCapability}, {device.CopyEngines} copy engines, driver for CUDA {CudaLibrary.Version}"));
}
