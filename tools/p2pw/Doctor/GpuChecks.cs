using P2PWeights.Cli.Output;
using P2PWeights.Native;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl;

namespace P2PWeights.Cli.Doctor;

/// <summary>Checks of what an update into GPUs would run on: each GPU, how they reach each other, NCCL; or why there is none. They open devices, and change nothing.</summary>
internal static class GpuChecks
{
    private const string Check = "gpu";

    /// <summary>The devices of this machine.</summary>
    public static IReadOnlyList<Finding> All()
    {
        if (CudaLibrary.Unavailable is { } reason)
            return [new(Check, Outcome.Note, $"none: {reason}. Only updates of engines on GPUs need one")];
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
