using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

public sealed class MemoryNodeTests
{
    [Theory]
    [InlineData("7f5e00000000 default file=/dev/shm/p2pweights-1/arena dirty=524288 N1=524288 kernelpagesize_kB=4", 1)]
    [InlineData("7f5e00000000 default anon=100 N0=95 N1=5 kernelpagesize_kB=4", 0)]
    [InlineData("7f5e00000000 interleave:0-1 anon=100 N0=50 N1=50 kernelpagesize_kB=4", null)]
    [InlineData("7f5e00000000 default file=/N0=9/arena", null)]
    [InlineData("7f5e00000000 default", null)]
    public void Memory_is_on_the_node_that_has_nine_tenths_of_it(string line, int? node) => Assert.Equal(node, MemoryNode.Parse(line));
}
