using P2PWeights.Cli.Doctor;
using P2PWeights.Client;
using P2PWeights.Native.Verbs;
using P2PWeights.Transfer;
using Verdict = P2PWeights.Cli.Doctor.Outcome;

namespace P2PWeights.Cli.Tests.Doctor;

public sealed class RdmaChecksTests
{
    [Fact]
    public void A_machine_without_RDMA_is_told_why_and_is_none_the_worse()
    {
        var inventory = new DeviceInventory("libibverbs.so.1 is not installed", [], []);

        var finding = Assert.Single(RdmaChecks.Devices(inventory, Rank(inventory)));

        Assert.Equal(Verdict.Note, finding.Outcome);
        Assert.Contains("libibverbs.so.1 is not installed", finding.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_port_is_shown_with_what_it_has_or_lacks()
    {
        var inventory = new DeviceInventory(
            null,
            [Device("mlx5_0", PortState.Active), Device("mlx5_1", PortState.Down), Device("mlx5_2", PortState.Active)],
            [new("mlx5_3", "no permission")]);

        var findings = RdmaChecks.Devices(inventory, Rank(inventory, "mlx5_0", "mlx5_1", "mlx5_3")).ToDictionary(finding => finding.Check);

        Assert.Equal(4, findings.Count);
        Assert.Equal(Verdict.Ok, findings["rdma mlx5_0:1"].Outcome);
        string[] shown = ["RoCE v2", "10.9.0.1", "GID index 3", "400 Gb/s", "4096 bytes", "NUMA node 1", "PCI 0000:81:00.0", "types 1 and 2", "16 reads"];
        Assert.All(shown, text => Assert.Contains(text, findings["rdma mlx5_0:1"].Detail, StringComparison.Ordinal));
        Assert.Equal(Verdict.Warning, findings["rdma mlx5_1:1"].Outcome);
        Assert.Contains("Down", findings["rdma mlx5_1:1"].Detail, StringComparison.Ordinal);
        Assert.Equal(Verdict.Note, findings["rdma mlx5_2:1"].Outcome);
        Assert.Equal(Verdict.Warning, findings["rdma mlx5_3"].Outcome);
    }

    [Fact]
    public void A_node_that_may_not_use_the_path_is_not_checked_for_it() =>
        Assert.Equal(Verdict.Note, Assert.Single(RdmaChecks.All(new NodeOptions { Trackers = [], DataDirectory = "unused", Paths = [PathNames.Tcp] })).Outcome);

    [Fact]
    public void A_device_that_is_asked_for_and_not_there_is_a_warning()
    {
        var inventory = new DeviceInventory(null, [Device("mlx5_0", PortState.Active)], []);

        var finding = RdmaChecks.Devices(inventory, Rank(inventory, "mlx5_7")).Single(finding => finding.Check == "rdma mlx5_7");

        Assert.Equal(Verdict.Warning, finding.Outcome);
    }

    [Fact]
    public void Distances_that_cannot_be_read_are_a_note_where_there_is_a_device()
    {
        var distances = new NumaDistances(new Dictionary<int, IReadOnlyList<int>>(), "node1/distance: Input/output error");

        var finding = Assert.Single(RdmaChecks.Distances(distances, hasDevice: true));

        Assert.Equal(Verdict.Note, finding.Outcome);
        Assert.Contains("node1/distance: Input/output error", finding.Detail, StringComparison.Ordinal);
        Assert.Empty(RdmaChecks.Distances(distances, hasDevice: false));
        Assert.Empty(RdmaChecks.Distances(NumaDistances.None, hasDevice: true));
    }

    [Theory]
    [InlineData(null, false, true, Verdict.Ok)]
    [InlineData(64L, false, true, Verdict.Warning)]
    [InlineData(64L, true, true, Verdict.Ok)]
    [InlineData(64L, false, false, Verdict.Note)]
    [InlineData(100L, false, true, Verdict.Warning)] // nothing left for staging
    [InlineData(1000L, false, true, Verdict.Ok)]
    internal void Locked_memory_must_hold_the_memory_tier_where_there_is_RDMA(long? limit, bool isAboveLimit, bool hasDevice, Verdict expected)
    {
        var finding = RdmaChecks.LockedMemory(new ProcessLimits(null, limit), isAboveLimit, hasDevice, 100);

        Assert.Equal(expected, finding.Outcome);
        Assert.True(expected != Verdict.Warning || finding.Detail.Contains("ulimit -l", StringComparison.Ordinal), finding.Detail);
    }

    [Theory]
    [InlineData("CapEff:\t000001ffffffffff", true)]
    [InlineData("CapEff:\t0000000000004000", true)]
    [InlineData("CapEff:\t0000000000002000", false)]
    [InlineData("CapEff:\t0000000000000000", false)]
    [InlineData("CapPrm:\t000001ffffffffff", false)]
    public void The_right_to_lock_is_bit_14_of_the_effective_capabilities(string line, bool may) =>
        Assert.Equal(may, ProcessLimits.MayLockWithoutLimit(["Name:\tp2pw", line]));

    private static DeviceRanking Rank(DeviceInventory inventory, params string[] devices) =>
        DeviceRanking.Of(inventory, new DeviceWishes { Devices = devices }, NumaDistances.None);

    private static DeviceSnapshot Device(string name, PortState state) => new(
        name,
        new DeviceAttributes
        {
            Firmware = "1.0",
            Ports = 1,
            MaxRegionBytes = ulong.MaxValue,
            MaxRegions = 1000,
            MaxQueueDepth = 1024,
            MaxCompletions = 4096,
            MaxReadsOut = 16,
            MaxReadsIn = 16,
            MaxWindows = 1000,
            HasWindowsType1 = true,
            HasWindowsType2 = true,
        },
        NumaNode: 1,
        PciPath: "pci0000:80/0000:80:01.0/0000:81:00.0",
        [new PortSnapshot(1, new PortAttributes(state, LinkLayer.Ethernet, PathMtu.Bytes4096, 0, 1u << 30), 400, [new GidEntry(1, 3, Gid.Parse("10.9.0.1"), GidType.RoceV2, 2)])]);
}
