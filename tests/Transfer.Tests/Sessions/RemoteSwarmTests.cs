using P2PWeights.Store.Content;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Swarms;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Tests.Sessions;

public sealed class RemoteSwarmTests
{
    [Fact]
    public void Reader_keeps_the_bitmap_it_took_and_is_told_of_the_next()
    {
        var swarm = Told(10);
        var changes = 0;
        swarm.Changed += () => changes++;
        swarm.Take(new HaveMessage(default, [1, 2], []));
        var before = swarm.Held();
        swarm.Take(new HaveMessage(default, [3], [1]));
        Assert.Equal((true, false), (before[1], before[3]));
        Assert.Equal((false, true, true, 2), (swarm.Held()[1], swarm.Held()[2], swarm.Held()[3], changes));
    }

    [Fact]
    public void Change_before_the_whole_bitmap_is_passed_over()
    {
        var swarm = new RemoteSwarm(default(Digest), 10);
        swarm.Take(new HaveMessage(default, [1, 2], []));
        Assert.Equal((false, 0), (swarm.HasTold, swarm.Held().Count()));
    }

    [Fact]
    public void Changes_cost_what_they_say_and_no_bitmap_each()
    {
        var swarm = Told(WireLimits.MaxShards);
        var have = new HaveMessage(default, [1, 2], [3]);
        swarm.Take(have);

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
        {
            swarm.Take(have);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, WireLimits.MaxShards / 8);
    }

    [Fact]
    public void Change_with_an_ordinal_outside_the_manifest_is_refused_whole()
    {
        var swarm = Told(10);
        Assert.Throws<TransferException>(() => swarm.Take(new HaveMessage(default, [3, 10], [])));
        Assert.Throws<TransferException>(() => swarm.Take(new HaveMessage(default, [], [10])));
        Assert.Equal(0, swarm.Held().Count());
    }

    private static RemoteSwarm Told(int shards)
    {
        var swarm = new RemoteSwarm(default(Digest), shards);
        swarm.Take(new BitmapMessage(default, new ShardBitmap(shards), IsPublisher: false));
        return swarm;
    }
}
