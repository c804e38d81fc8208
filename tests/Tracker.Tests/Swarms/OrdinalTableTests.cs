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

        var last = new Bitmap();
        table.AddReplica(Make.Digest("last"), last);
        Assert.True(last.Contains(0));
    }

    [Fact]
    public void Shard_is_safe_from_two_replicas_on()
    {
        var table = new OrdinalTable();
        var ordinal = table.AddSwarm(Make.Digest("x"));
        var peers = new[] { new Bitmap(), new Bitmap(), new Bitmap() };
        foreach (var (held, safe) in peers.Zip((bool[])[false, true, true]))
        {
            table.ReplaceReplicas(held, ordinal, 1, 1);
            Assert.Equal((true, safe), (table.Live.Contains(ordinal), table.Safe.Contains(ordinal)));
        }

        foreach (var (held, safe) in peers.Zip((bool[])[true, false, false]))
        {
            table.ReplaceReplicas(held, ordinal, 1, 0);
            Assert.Equal(safe, table.Safe.Contains(ordinal));
        }

        Assert.False(table.Live.Contains(ordinal));
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
