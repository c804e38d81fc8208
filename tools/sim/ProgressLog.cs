namespace P2PWeights.Sim;

/// <summary>How far the swarm was at one moment.</summary>
/// <param name="At">Virtual time.</param>
/// <param name="Held">Shards that pullers gained, as part of those that they lacked.</param>
/// <param name="Finished">Peers that have everything.</param>
/// <param name="PublisherCopies">Shards that the publishers sent, as a multiple of the checkpoint's.</param>
public sealed record ProgressPoint(TimeSpan At, double Held, int Finished, double PublisherCopies);

/// <summary>Looks at the swarm at regular intervals of virtual time.</summary>
internal sealed class ProgressLog(EventQueue events, long interval, Func<ProgressPoint> look) : IActor
{
    private readonly List<ProgressPoint> _points = [];

    public IReadOnlyList<ProgressPoint> Points => _points;

    public void Begin() => On(0);

    /// <summary>The last look, at the end of the run.</summary>
    public void End() => _points.Add(look());

    public void On(int kind)
    {
        _points.Add(look());
        events.Add(events.Now + Math.Max(1, interval), this, 0);
    }
}
