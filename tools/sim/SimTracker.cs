using P2PWeights.Tracker.Swarms;

namespace P2PWeights.Sim;

/// <summary>
/// The tracker: names neighbours by the product's plan, but chosen among all members, and anew at each sync; the real one has the plan choose from a bounded sample, and keeps what was
/// chosen for a lease.
/// </summary>
internal sealed class SimTracker(Simulation simulation)
{
    private readonly List<SimNode> _members = [];
    private NeighbourCandidate[] _candidates = [];

    /// <summary>A node is in the swarm from now on. One that died is named until its neighbours find out, as until the end of a lease.</summary>
    public void Join(SimNode node) => _members.Add(node);

    /// <summary>A node asks for neighbours.</summary>
    public void Sync(SimNode asking)
    {
        if (_candidates.Length < _members.Count)
        {
            _candidates = new NeighbourCandidate[2 * _members.Count];
        }

        var count = 0;
        for (var i = 0; i < _members.Count; i++)
        {
            var member = _members[i];
            if (member != asking)
            {
                _candidates[count++] = new NeighbourCandidate(i, simulation.NearnessOf(asking, member), member.HeldCount);
            }
        }

        foreach (var index in NeighbourPlanner.Choose(_candidates.AsSpan(0, count), simulation.Options.Neighbours, simulation.Random))
        {
            asking.Puller!.Meet(_members[index]);
        }
    }
}
