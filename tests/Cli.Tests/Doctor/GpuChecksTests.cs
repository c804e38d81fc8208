using P2PWeights.Cli.Doctor;
using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl;
using P2PWeights.Store;
using Verdict = P2PWeights.Cli.Doctor.Outcome;

namespace P2PWeights.Cli.Tests.Doctor;

public sealed class GpuChecksTests
{
    [Fact]
    public void A_machine_shows_its_GPUs_or_why_it_has_none()
    {
        var findings = GpuChecks.All([]);

        if (CudaLibrary.Unavailable is { } reason)
        {
            var finding = Assert.Single(findings);
            Assert.Equal(("gpu", Verdict.Note), (finding.Check, finding.Outcome));
            Assert.Contains(reason, finding.Detail, StringComparison.Ordinal);
            return;
        }

        for (var ordinal = 0; ordinal < CudaDevice.Count; ordinal++)
        {
            using var device = CudaDevice.Open(ordinal);
            Assert.Contains(findings, finding => finding.Check == $"gpu {ordinal}" && finding.Detail.Contains(device.Uuid, StringComparison.Ordinal));
        }

        Assert.Equal(NcclLibrary.IsAvailable ? Verdict.Ok : Verdict.Note, Assert.Single(findings, finding => finding.Check == "nccl").Outcome);
    }

    [Theory]
    [InlineData(null, "Failure")]
    [InlineData((8L << 30) - 1, "Warning")]
    [InlineData(8L << 30, "Ok")]
    public void Memory_wanted_on_a_GPU_is_compared_with_what_is_free(long? free, string outcome)
    {
        var finding = GpuChecks.Room(new GpuMemory("3", 8L << 30), free);

        Assert.Equal(("gpu memory 3", outcome), (finding.Check, finding.Outcome.ToString()));
        Assert.Equal(outcome != "Ok", finding.Detail.Contains("--gpu-memory", StringComparison.Ordinal));
    }

    [Fact]
    public void GPUs_without_access_to_each_other_are_a_warning_that_names_them()
    {
        Assert.Equal(Verdict.Ok, GpuChecks.Peers([]).Outcome);

        var finding = GpuChecks.Peers([(0, 3), (3, 0)]);

        Assert.Equal(Verdict.Warning, finding.Outcome);
        Assert.Contains("from 0 to 3, from 3 to 0", finding.Detail, StringComparison.Ordinal);
    }
}
