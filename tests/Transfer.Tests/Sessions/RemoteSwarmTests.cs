using P2PWeights.Store.Content;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Sessions;

public sealed class RemoteSwarmTests
{
    [Fact]
    public async Task Change_told_while_a_pull_clears_a_shard_is_not_lost()
    {
        const int Shards = 20_000;
        var swarm = new RemoteSwarm(default(Digest), Shards);
        using var both = new Barrier(2);
        var clearing = Task.Run(() =>
        {
            both.SignalAndWait(TestNode.Deadline);
            for (var i = 0; i < Shards; i++)
            {
                swarm.Clear(0);
            }
        });
        both.SignalAndWait(TestNode.Deadline);
        for (var ordinal = 1; ordinal < Shards; ordinal++)
        {
            swarm.Take(new HaveMessage(default, [ordinal], []));
        }

        await clearing;
        Assert.Equal(Shards - 1, swarm.Held.Count());
    }

    [Fact]
    public void Change_with_an_ordinal_outside_the_manifest_is_refused_whole()
    {
        var swarm = new RemoteSwarm(default(Digest), 10);
        Assert.Throws<TransferException>(() => swarm.Take(new HaveMessage(default, [3, 10], [])));
        Assert.Throws<TransferException>(() => swarm.Take(new HaveMessage(default, [], [10])));
        Assert.Equal(0, swarm.Held.Count());
    }
}
