using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

/// <summary>The path contract over one-sided reads.</summary>
[NeedsRdma]
public sealed class RdmaPathTests : LeasedPathContract
{
    private protected override bool NeedsSourceMemory => true;

    private protected override ITransferPath NewPath(TestNode node) => new RdmaPath(node.Transfer.Rdma!, new ByteRate(0), TimeProvider.System);

    private protected override Task<TestNode> StartNodeAsync(string name, long memoryBytes) =>
        TestNode.StartAsync(name, new TransferOptions { Paths = [PathNames.Rdma, PathNames.Tcp] }, memoryBytes);

    private protected override Task<TestNode> StartSourceAsync(TimeProvider time) =>
        TestNode.StartAsync("source", new TransferOptions { Paths = [PathNames.Rdma, PathNames.Tcp] }, time: time);
}
