using System.Collections;
using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Store;
using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

public sealed class RdmaHostTests
{
    [Fact]
    public async Task Machine_that_is_odd_when_looked_at_has_no_device_and_the_reason()
    {
        await using var host = RdmaHost.Start(new TransferOptions(), new OddMemory(), NullLogger.Instance);

        var refusal = await Assert.ThrowsAsync<TransferException>(() => host.GetDevicesAsync(TestNode.Deadline).AsTask());

        Assert.Equal(TransferError.PathRefused, refusal.Error);
        Assert.Contains("looking for RDMA devices failed: sysfs has a hole", refusal.Message, StringComparison.Ordinal);
    }

    /// <summary>Fails where the host looks at the machine, as nothing there should.</summary>
    private sealed class OddMemory : IReadOnlyList<MemoryRegion>
    {
        public int Count => throw new FormatException("sysfs has a hole");

        public MemoryRegion this[int index] => throw new FormatException("sysfs has a hole");

        public IEnumerator<MemoryRegion> GetEnumerator() => throw new FormatException("sysfs has a hole");

        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
