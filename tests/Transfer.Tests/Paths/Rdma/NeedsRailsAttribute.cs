namespace P2PWeights.Transfer.Tests.Paths.Rdma;

/// <summary>Tests that cut cables between two pairs of devices: only the machine of tools/rdma-lab, started with two rails and both ends, has some to cut.</summary>
public sealed class NeedsRailsAttribute : NeedsAttribute
{
    /// <summary>The program of the lab that cuts and mends one.</summary>
    internal const string Rail = "/run/rdma-lab/rail";

    private static readonly string[] Devices = ["rxe0", "rxp0", "rxe1", "rxp1"];

    public override string? Missing =>
        File.Exists(Rail) && Devices.All(device => Directory.Exists($"/sys/class/infiniband/{device}")) ? null : "runs in tools/rdma-lab, with --rails 2 --both-ends";
}
