using P2PWeights.Native.Verbs;

namespace P2PWeights.Native.Tests.Verbs;

public sealed class DeviceInventoryTests
{
    [Fact]
    public void A_machine_has_devices_or_a_reason_why_it_has_none()
    {
        var inventory = DeviceInventory.Read();

        Assert.NotEqual(inventory.Unavailable is null, inventory.Devices.Count + inventory.Faults.Count == 0);
        Assert.NotEqual("", inventory.Unavailable);
        Assert.All(inventory.Faults, fault => Assert.NotEqual("", fault.Reason));
        Assert.Equal(VerbsLibrary.IsAvailable, VerbsLibrary.Unavailable is null);
        Assert.True(VerbsLibrary.IsAvailable || inventory.Unavailable == VerbsLibrary.Unavailable);
    }

    [Theory]
    [InlineData("100 Gb/sec (4X EDR)", 100)]
    [InlineData("2.5 Gb/sec (1X SDR)", 2.5)]
    [InlineData("", 0)]
    [InlineData("fast", 0)]
    [InlineData(null, 0)]
    public void Rates_are_read_as_sysfs_writes_them(string? text, double gbps) => Assert.Equal(gbps, DeviceInventory.ParseRate(text));

    [Theory]
    [InlineData("0", 0)]
    [InlineData("3", 3)]
    [InlineData("-1", null)]
    [InlineData(null, null)]
    public void A_NUMA_node_of_minus_one_is_none(string? text, int? node) => Assert.Equal(node, DeviceInventory.ParseNode(text));

    [VerbsDeviceFact]
    public void A_snapshot_says_what_the_device_says()
    {
        var device = Assert.Single(DeviceRanking.Of(DeviceInventory.Read(), new(), NumaDistances.Read()).Usable.Take(1));

        using var open = VerbsDevice.Open(device.Device.Name);
        Assert.Equal(open.QueryAttributes(), device.Device.Attributes);
        Assert.Equal(open.QueryPort(device.Port.Number), device.Port.Attributes);
        Assert.Contains(device.Gid, open.QueryGids());
        Assert.True(device.Device.Attributes.MaxRegionBytes >= 1 << 20);
        Assert.InRange(device.Device.Attributes.MaxQueueDepth, 16, int.MaxValue);
        Assert.InRange(device.Device.Attributes.MaxReadsOut, 1, 255);
        Assert.True(device.Port.Gbps > 0, "the kernel says how fast the port is");
        Assert.InRange(open.CompletionVectors, 1, int.MaxValue);
    }

    [VerbsDeviceFact]
    public void An_unknown_device_is_named_in_the_error()
    {
        var exception = Assert.Throws<NativeException>(() => VerbsDevice.Open("nothing9"));

        Assert.Contains("nothing9", exception.Message, StringComparison.Ordinal);
        Assert.Equal(Native.Posix.Errno.NoSuchDevice, exception.Code);
    }
}
