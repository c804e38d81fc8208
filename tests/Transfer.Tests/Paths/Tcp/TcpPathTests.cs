using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Paths.Tcp;

namespace P2PWeights.Transfer.Tests.Paths.Tcp;

public sealed class TcpPathTests : TransferPathContract
{
    private protected override ITransferPath NewPath(TestNode node) => new TcpPath(lanesPerPeer: 2, stallTimeout: TimeSpan.FromSeconds(5), new ByteRate(0));
}
