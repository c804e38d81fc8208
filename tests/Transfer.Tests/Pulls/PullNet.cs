namespace P2PWeights.Transfer.Tests.Pulls;

/// <summary>What most tests of pulls begin with: a publisher that holds a checkpoint, and a node that knows it as its only neighbour.</summary>
internal sealed class PullNet : IAsyncDisposable
{
    private readonly TestNode _publisher;
    private readonly TestNode _node;

    private PullNet(TestNode publisher, TestNode node) => (_publisher, _node) = (publisher, node);

    /// <param name="publishing">Options of the publisher.</param>
    /// <param name="pulling">Options of the node.</param>
    /// <param name="time">Clock of the node.</param>
    /// <param name="held">Ordinals that the publisher holds; all when null.</param>
    public static async Task<PullNet> StartAsync(
        TestCheckpoint checkpoint, TransferOptions? publishing = null, TransferOptions? pulling = null, int[]? held = null, string publisher = "publisher", TimeProvider? time = null)
    {
        var net = new PullNet(await TestNode.StartAsync(publisher, publishing), await TestNode.StartAsync("node", pulling, time: time));
        await net._publisher.HoldAsync(checkpoint, held ?? []);
        net._node.Meet(checkpoint, net._publisher.Info);
        return net;
    }

    public void Deconstruct(out TestNode publisher, out TestNode node) => (publisher, node) = (_publisher, _node);

    public async ValueTask DisposeAsync()
    {
        await _node.DisposeAsync();
        await _publisher.DisposeAsync();
    }
}
