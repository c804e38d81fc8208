using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Sim;

/// <summary>A node's pull: the product's planner, driven as a pull drives it.</summary>
internal sealed class SimPuller(SimNode node, Simulation simulation) : IActor
{
    private const int Start = 0;
    private const int Ask = 1;
    private const int Tick = 2;
    private const int Sync = 3;

    /// <summary>News of this long are taken in before the planner is asked again: a loop that gets its turn.</summary>
    private const long LoopDelay = 500_000;

    private static readonly long TickInterval = Simulation.Nanoseconds(TimeSpan.FromMilliseconds(100));

    /// <summary>A third of the tracker's lease.</summary>
    private static readonly long SyncInterval = Simulation.Nanoseconds(TimeSpan.FromSeconds(3.3));

    private static readonly SimRequest[] None = [];

    private readonly EventQueue _events = simulation.Events;
    private readonly Dictionary<SimNode, SimLink> _sources = [];
    private readonly Dictionary<PlannedSource, SimLink> _links = [];
    private readonly Dictionary<int, SimRequest> _fetches = [];
    private readonly List<SimRequest> _hedges = [];
    private PullPlanner _planner = null!;
    private bool _asksSoon;

    public long StartedAt { get; private set; } = -1;

    /// <summary>When it held everything; -1 before.</summary>
    public long FinishedAt { get; private set; } = -1;

    /// <summary>Shards asked for twice.</summary>
    public int Hedges { get; private set; }

    /// <summary>Requests that were answered Busy.</summary>
    public int Busy { get; private set; }

    public bool IsRunning => StartedAt >= 0 && FinishedAt < 0 && node.IsAlive;

    private TimeSpan Now => Simulation.Span(_events.Now - StartedAt);

    public void StartAt(long at) => _events.Add(at, this, Start);

    public void On(int kind)
    {
        if (kind == Start)
        {
            Begin();
            return;
        }

        _asksSoon &= kind != Ask;
        if (!IsRunning)
        {
            return;
        }

        switch (kind)
        {
            case Ask:
                AskForMore();
                break;
            case Tick:
                foreach (var link in _sources.Values)
                {
                    link.Planned.Progress(link.TakeReceived(), Now);
                }

                _events.Add(_events.Now + TickInterval, this, Tick);
                AskSoon();
                break;
            case Sync:
                simulation.Tracker.Sync(node);
                _events.Add(_events.Now + SyncInterval, this, Sync);
                break;
        }
    }

    /// <summary>The tracker named a neighbour.</summary>
    public void Meet(SimNode server)
    {
        if (_sources.Count >= Simulation.MaxSources || !server.IsAlive || _sources.ContainsKey(server))
        {
            return;
        }

        var planned = _planner.AddSource(server.Id, simulation.NearnessOf(node, server));
        planned.RoundTrip = Simulation.Span(2 * simulation.Latency);
        var link = new SimLink(node, server, planned, simulation);
        _sources.Add(server, link);
        _links.Add(planned, link);
        server.Server.Welcome(link);
    }

    /// <summary>A source told what it holds.</summary>
    public void OnHave(SimLink link, ShardBitmap held)
    {
        _planner.SetHeld(link.Planned, held, link.Server.IsPublisher);
        AskSoon();
    }

    /// <summary>A shard is here.</summary>
    public void OnShard(SimRequest request)
    {
        if (request.IsGivenUp)
        {
            return;
        }

        Forget(request);
        _planner.Received(request.Assignment);
        _planner.Done(request.Assignment);
        foreach (var other in OthersOf(request.Ordinal))
        {
            Forget(other);
            other.IsGivenUp = true;
            _planner.Failed(other.Assignment, wasReceived: false);
        }

        node.Hold(request.Ordinal);
        node.Server.TellSoon();
        simulation.OnHeld();
        if (_planner.Left == 0)
        {
            FinishedAt = _events.Now;
            End();
            simulation.OnFinished();
            return;
        }

        AskSoon();
    }

    /// <summary>The source had no slot.</summary>
    public void OnBusy(SimRequest request)
    {
        Busy++;
        if (request.IsGivenUp)
        {
            return;
        }

        Forget(request);
        request.Link.Planned.NotBefore = Now + request.Link.Server.Server.Slots.Patience;
        _planner.Failed(request.Assignment, wasReceived: false);
        AskSoon();
    }

    /// <summary>A session broke: what was asked for over it is lost.</summary>
    public void Lost(SimLink link)
    {
        if (!IsRunning)
        {
            return;
        }

        _sources.Remove(link.Server);
        _planner.RemoveSource(link.Planned);
        foreach (var request in _fetches.Values.Concat(_hedges).Where(request => request.Link == link).ToArray())
        {
            Forget(request);
            request.IsGivenUp = true;
            _planner.Failed(request.Assignment, wasReceived: false);
        }

        AskSoon();
    }

    /// <summary>The pull is over: its sessions end.</summary>
    public void End()
    {
        foreach (var link in _sources.Values.ToArray())
        {
            link.Break();
        }
    }

    private void Begin()
    {
        if (!node.IsAlive)
        {
            return;
        }

        StartedAt = _events.Now;
        var wanted = Enumerable.Range(0, simulation.Options.Shards).Where(ordinal => !node.Held[ordinal]);
        var options = new PlannerOptions(simulation.Options.WindowBytes, Simulation.LanesPerPeer);
        _planner = new PullPlanner(simulation.Table, wanted, options, new Random(simulation.Random.Next()));
        _events.Add(_events.Now + TickInterval, this, Tick);
        simulation.Tracker.Join(node);
        _events.Add(_events.Now, this, Sync);
    }

    private void AskSoon()
    {
        if (!_asksSoon)
        {
            _asksSoon = true;
            _events.Add(_events.Now + LoopDelay, this, Ask);
        }
    }

    private void AskForMore()
    {
        while (_planner.Next(Now) is { } assignment)
        {
            var link = _links[assignment.Source];
            var request = new SimRequest(link, assignment, _events.Now + simulation.Latency);
            if (assignment.Hedge)
            {
                Hedges++;
                _hedges.Add(request);
            }
            else
            {
                _fetches.Add(assignment.Ordinal, request);
            }

            link.Ask(request);
        }
    }

    private void Forget(SimRequest request)
    {
        if (request.Assignment.Hedge)
        {
            _hedges.Remove(request);
        }
        else
        {
            _fetches.Remove(request.Ordinal);
        }
    }

    /// <summary>The fetches of a shard that lost against the one that brought it.</summary>
    private IReadOnlyList<SimRequest> OthersOf(int ordinal)
    {
        var isAsked = _fetches.TryGetValue(ordinal, out var fetch);
        if (_hedges.Count == 0 && !isAsked)
        {
            return None;
        }

        var others = _hedges.FindAll(hedge => hedge.Ordinal == ordinal);
        if (isAsked)
        {
            others.Add(fetch!);
        }

        return others;
    }
}
