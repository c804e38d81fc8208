using P2PWeights.Native.Verbs;

namespace P2PWeights.Native.Tests.Verbs;

public sealed class DeviceRankingTests
{
    private static readonly GidEntry LinkLocalV1 = new(1, 0, Gid.Parse("fe80::1"), GidType.RoceV1, 2);
    private static readonly GidEntry LinkLocalV2 = new(1, 1, Gid.Parse("fe80::1"), GidType.RoceV2, 2);
    private static readonly GidEntry MappedV1 = new(1, 2, Gid.Parse("10.9.0.1"), GidType.RoceV1, 2);
    private static readonly GidEntry MappedV2 = new(1, 3, Gid.Parse("10.9.0.1"), GidType.RoceV2, 2);
    private static readonly GidEntry GlobalV2 = new(1, 4, Gid.Parse("2001:db8::1"), GidType.RoceV2, 2);
    private static readonly GidEntry InfiniBand = new(1, 0, Gid.Parse("fe80::2:c903:0:1"), GidType.InfiniBand, 0);
    private static readonly GidEntry[] AllRoce = [LinkLocalV1, LinkLocalV2, MappedV1, MappedV2, GlobalV2];

    // Two sockets: 10 at home, 21 across.
    private static readonly NumaDistances TwoSockets = new(new Dictionary<int, IReadOnlyList<int>> { [0] = [10, 21], [1] = [21, 10] });

    public static TheoryData<int[], int> BestGids => new()
    {
        { [0, 1, 2, 3, 4], 3 }, // RoCE v2 with an IPv4 address before all
        { [0, 1, 2, 4], 4 }, // then RoCE v2 with a global IPv6 address
        { [0, 1, 2], 1 }, // then RoCE v2 with a link-local one
        { [0, 2], 0 }, // and RoCE v1 when there is nothing else, by its index
    };

    [Theory]
    [MemberData(nameof(BestGids))]
    public void The_best_kind_of_GID_is_taken(int[] inUse, int best)
    {
        var ranking = Rank([Device("mlx5_0", gids: [.. AllRoce.Where(gid => inUse.Contains(gid.Index))])]);

        Assert.Equal(best, Assert.Single(ranking.Usable).Gid.Index);
        Assert.Empty(ranking.Unusable);
    }

    [Fact]
    public void Between_equal_ports_the_kind_of_GID_decides()
    {
        var ranking = Rank(
        [
            Device("a_v1", gids: [MappedV1]),
            Device("b_linklocal", gids: [LinkLocalV2]),
            Device("c_ib", linkLayer: LinkLayer.InfiniBand, lid: 7, gids: [InfiniBand]),
            Device("d_global", gids: [GlobalV2]),
            Device("e_mapped", gids: [MappedV2]),
        ]);

        Assert.Equal(["e_mapped:1", "d_global:1", "c_ib:1", "b_linklocal:1", "a_v1:1"], ranking.Usable.Select(port => port.Name));
    }

    [Fact]
    public void Near_devices_come_first_and_fast_ones_before_near_ones()
    {
        var devices = new[]
        {
            Device("far_fast", node: 1, gbps: 400), Device("far_slow", node: 1, gbps: 25), Device("near_fast", node: 0, gbps: 400), Device("near_slow", node: 0, gbps: 25),
        };

        Assert.Equal(
            [("near_fast:1", 10), ("far_fast:1", 21), ("near_slow:1", 10), ("far_slow:1", 21)],
            Rank(devices, new() { MemoryNode = 0 }).Usable.Select(port => (port.Name, port.Distance)));
        Assert.Equal(
            ["far_fast:1", "near_fast:1", "far_slow:1", "near_slow:1"],
            Rank(devices, new() { MemoryNode = 1 }).Usable.Select(port => port.Name));
        Assert.All(Rank(devices).Usable, port => Assert.Equal(NumaDistances.Local, port.Distance));
    }

    [Fact]
    public void Memory_on_a_PCI_device_is_near_to_those_behind_the_same_bridge()
    {
        const string Root = "pci0000:80/0000:80:01.0/0000:81:00.0";
        var ranking = Rank(
            [
                Device("other_root", pci: "pci0000:00/0000:00:01.0/0000:01:00.0"),
                Device("same_switch", pci: $"{Root}/0000:82:00.0/0000:83:00.0"),
                Device("same_root", pci: "pci0000:80/0000:80:02.0/0000:90:00.0"),
                Device("no_bus"),
            ],
            new() { MemoryPciPath = $"{Root}/0000:82:01.0/0000:84:00.0" });

        Assert.Equal(
            [("same_switch:1", 4), ("no_bus:1", 5), ("same_root:1", 6), ("other_root:1", 8)],
            ranking.Usable.Select(port => (port.Name, port.PciHops)));
    }

    [Fact]
    public void Every_port_that_is_not_used_has_its_reason()
    {
        var ranking = Rank(
            [
                Device("down", state: PortState.Down),
                Device("no_address", gids: []),
                Device("empty_entry", gids: [new(1, 0, default, GidType.RoceV2, 0)]),
                Device("no_subnet_manager", linkLayer: LinkLayer.InfiniBand, gids: [InfiniBand]),
                Device("no_reads") with { Attributes = Attributes() with { MaxReadsIn = 0 } },
                Device("far_entry", gids: [MappedV2 with { Index = 256 }]),
                Device("fine"),
            ],
            faults: [new("siw0", "iWARP")]);

        Assert.Equal("fine:1", Assert.Single(ranking.Usable).Name);
        var reasons = ranking.Unusable.ToDictionary(port => port.Name, port => port.Reason);
        Assert.Equal(7, reasons.Count);
        Assert.Contains("Down", reasons["down:1"], StringComparison.Ordinal);
        Assert.Contains("address", reasons["no_address:1"], StringComparison.Ordinal);
        Assert.Contains("address", reasons["empty_entry:1"], StringComparison.Ordinal);
        Assert.Contains("subnet manager", reasons["no_subnet_manager:1"], StringComparison.Ordinal);
        Assert.Contains("READ", reasons["no_reads:1"], StringComparison.Ordinal);
        Assert.Contains("no GID", reasons["far_entry:1"], StringComparison.Ordinal);
        Assert.Equal("iWARP", reasons["siw0"]);
    }

    [Fact]
    public void Only_wished_ports_are_used_in_the_order_of_the_wishes()
    {
        var two = Device("mlx5_2") with { Ports = [Port(1, PortState.Active), Port(2, PortState.Active)] };
        var ranking = Rank([Device("mlx5_0"), Device("mlx5_1"), two], new() { Devices = ["mlx5_2:2", "mlx5_0", "mlx5_9"] });

        Assert.Equal(["mlx5_2:2", "mlx5_0:1"], ranking.Usable.Select(port => port.Name));
        Assert.Equal(["mlx5_1:1", "mlx5_2:1", "mlx5_9"], ranking.Unusable.Select(port => port.Name));
        Assert.Equal([true, true, false], ranking.Unusable.Select(port => port.IsUnwanted));
        Assert.Contains("no such device", ranking.Unusable[^1].Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void A_wished_device_that_cannot_be_opened_is_not_called_unknown()
    {
        var ranking = Rank([], new() { Devices = ["mlx5_0"] }, [new("mlx5_0", "no permission")]);

        Assert.Equal([new UnusablePort("mlx5_0", "no permission")], ranking.Unusable);
    }

    [Fact]
    public void A_GID_index_overrides_and_must_be_in_use()
    {
        Assert.Equal(LinkLocalV1, Assert.Single(Rank([Device("mlx5_0", gids: AllRoce)], new() { GidIndex = 0 }).Usable).Gid);
        var ranking = Rank([Device("mlx5_0", gids: AllRoce)], new() { GidIndex = 7 });
        Assert.Empty(ranking.Usable);
        Assert.Contains("7", Assert.Single(ranking.Unusable).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Ranking_is_the_same_in_whatever_order_devices_are_found()
    {
        DeviceSnapshot[] devices = [Device("mlx5_3", node: 1), Device("mlx5_1"), Device("mlx5_2", gbps: 200), Device("mlx5_0", gids: [GlobalV2])];
        var expected = Rank(devices).Usable.Select(port => port.Name);

        Assert.Equal(expected, Rank([.. devices.Reverse()]).Usable.Select(port => port.Name));
    }

    [Theory]
    [InlineData("a/b/c", "a/b/c", 0)]
    [InlineData("a/b/c", "a/b/d", 2)]
    [InlineData("a/b", "a/b/d", 1)]
    [InlineData("a/b", "x/y", 4)]
    [InlineData(null, "x/y", 2)]
    public void Hops_are_counted_to_the_last_common_bridge(string? one, string? other, int hops) => Assert.Equal(hops, DeviceRanking.Hops(one, other));

    [Fact]
    public void Distances_come_from_the_kernels_table()
    {
        Assert.Equal([10, 21, 31], NumaDistances.Parse("10 21 31\n"));
        Assert.Empty(NumaDistances.Parse("garbage"));
        Assert.Equal(21, TwoSockets.Between(0, 1));
        Assert.Equal(NumaDistances.Local, TwoSockets.Between(null, 1));
        Assert.Equal(NumaDistances.Local, TwoSockets.Between(0, 9));
        Assert.Equal(NumaDistances.Local, NumaDistances.Read().Between(0, 0));
    }

    [Fact]
    public void Distances_that_cannot_be_read_are_not_known_and_say_why()
    {
        var folder = Directory.CreateTempSubdirectory("p2pw-test-");
        try
        {
            // A file that the kernel shows and does not let anybody read at its start, as some sandboxes do.
            File.CreateSymbolicLink(Path.Combine(folder.CreateSubdirectory("node1").FullName, "distance"), "/proc/self/mem");

            var distances = NumaDistances.Read(folder.FullName);

            Assert.Contains("error", distances.Problem, StringComparison.OrdinalIgnoreCase);
            Assert.Equal(NumaDistances.Local, distances.Between(1, 0));
            Assert.Null(NumaDistances.Read(Path.Combine(folder.FullName, "none")).Problem);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static DeviceRanking Rank(IReadOnlyList<DeviceSnapshot> devices, DeviceWishes? wishes = null, IReadOnlyList<DeviceFault>? faults = null) =>
        DeviceRanking.Of(new(null, devices, faults ?? []), wishes ?? new(), TwoSockets);

    private static DeviceSnapshot Device(
        string name,
        int? node = null,
        double gbps = 100,
        string? pci = null,
        PortState state = PortState.Active,
        LinkLayer linkLayer = LinkLayer.Ethernet,
        ushort lid = 0,
        GidEntry[]? gids = null) =>
        new(name, Attributes(), node, pci, [Port(1, state, linkLayer, lid, gbps, gids)]);

    private static PortSnapshot Port(byte number, PortState state, LinkLayer linkLayer = LinkLayer.Ethernet, ushort lid = 0, double gbps = 100, GidEntry[]? gids = null) =>
        new(number, new(state, linkLayer, PathMtu.Bytes4096, lid, 1u << 30), gbps, gids ?? [MappedV2]);

    private static DeviceAttributes Attributes() => new()
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
    };
}
