using P2PWeights.Testing;

namespace P2PWeights.Sim.Tests;

public sealed class EventQueueTests
{
    [Fact]
    public void Events_happen_in_the_order_of_their_times_and_equals_in_the_order_in_which_they_were_added()
    {
        var seeded = new Seeded();
        var events = new EventQueue();
        var log = new Log(events);
        var times = Enumerable.Range(0, 5000).Select(_ => (long)seeded.Random.Next(500)).ToArray();
        for (var i = 0; i < times.Length; i++)
        {
            events.Add(times[i], log, i);
        }

        while (events.Step())
        {
        }

        var expected = Enumerable.Range(0, times.Length).OrderBy(i => times[i]).ThenBy(i => i).Select(i => (times[i], i));
        Assert.True(expected.SequenceEqual(log.Happened), seeded.ToString());
        Assert.Equal(times.Length, events.Happened);
    }

    private sealed class Log(EventQueue events) : IActor
    {
        public List<(long At, int Kind)> Happened { get; } = [];

        public void On(int kind) => Happened.Add((events.Now, kind));
    }
}
