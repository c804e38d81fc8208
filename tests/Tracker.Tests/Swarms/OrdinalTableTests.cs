using P2PWeights.Tracker.Swarms;

namespace P2PWeights.Tracker.Tests.Swarms;

public sealed class OrdinalTableTests
{
    [Fact]
    public void Ordinals_nobody_needs_are_given_out_again()
    {
        var table = new OrdinalTable();
        for (var round = 0; round < 50; round++)
        {
            var held = new Bitmap();
            for (var i = 0; i < 1000; i++)
            {
                table.AddReplica(Make.Digest($"{round}/{i}"), held);
            }

            Assert.Equal(1000, table.Count);
            table.RemoveReplicas(held);
            Assert.Equal(0, table.Count);
            Assert.Equal(0, table.Live.Count);
        }

        Assert.InRange(table.Rarity.Length, 1000, 2000);
    }

    [Fact]
    public void Ordinal_stays_as_long_as_a_replica_or_a_swarm_needs_it()
    {
        var table = new OrdinalTable();
        var shard = Make.Digest("x");
        var held = new Bitmap();
        var ordinal = table.AddSwarm(shard);
        table.AddReplica(shard, held);
        Assert.Equal(ordinal, table.Find(shard));

        table.RemoveSwarm(ordinal);
        Assert.Equal(ordinal, table.Find(shard));
        table.RemoveReplica(shard, held);
        Assert.Equal(-1, table.Find(shard));
    }
}
