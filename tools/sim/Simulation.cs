using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Transfer;
using P2PWeights.Transfer.Pulling;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Sim;

/// <summary>
/// One swarm in virtual time. Which shard is asked of whom, who is served, what a publisher reveals and who of all members becomes a neighbour is decided by the planners that nodes and
/// trackers run; cards, racks, connections, and what the tracker and a pull do around the planners, are simulated, without stalls and failures. A run depends on its options alone, the seed among them. Not thread-safe; runs once.
/// </summary>
public sealed class Simulation
{
    private static readonly TransferOptions Defaults = new();

    private readonly List<SimNode> _nodes = [];
    private readonly List<SimNode> _publishers = [];
    private readonly List<SimNode> _pullers = [];
    private readonly SwarmBound _bound;
    private readonly ProgressLog _progress;
    private readonly long _wanted;

    /// <summary>Shards that publishers brought to somebody.</summary>
    private readonly ShardBitmap _brought;
    private long _held;
    private int _unfinished;
    private int _broughtCount;

    /// <exception cref="ArgumentException">An option is out of its range.</exception>
    public Simulation(SimOptions options)
    {
        options.Check();
        Options = options;
        Random = new Random(options.Seed);
        SliceBytes = (options.ShardBytes + options.SlicesPerShard - 1) / options.SlicesPerShard;
        Latency = Nanoseconds(options.Latency);
        Table = [.. Enumerable.Range(0, options.Shards).Select(_ => new ShardInfo(new Digest(NextBytes(Digest.Size)), options.ShardBytes))];
        _brought = new ShardBitmap(options.Shards);
        Tracker = new SimTracker(this);
        var count = options.Publishers + options.Peers + options.Late;
        Network = new SimNetwork(options, (count + options.Racks - 1) / options.Racks);
        AddPublishers();
        AddPullers();
        _bound = new SwarmBound(options, Network.UplinkBytesPerSecond);
        _wanted = _pullers.Sum(node => (long)options.Shards - node.HeldCount);
        _progress = new ProgressLog(Events, Nanoseconds(_bound.Whole) / 100, () => new ProgressPoint(
            Span(Events.Now), (double)_held / _wanted, _pullers.Count(node => node.Puller!.FinishedAt >= 0), PublisherCopies()));
    }

    /// <summary>Connections from a puller to each source.</summary>
    internal static int LanesPerPeer => Defaults.LanesPerPeer;

    internal static int MaxSources => PullSources.MaxSources;

    internal SimOptions Options { get; }

    internal EventQueue Events { get; } = new();

    internal Random Random { get; }

    internal ImmutableArray<ShardInfo> Table { get; }

    internal SimTracker Tracker { get; }

    internal SimNetwork Network { get; }

    internal int SliceBytes { get; }

    /// <summary>From any node to any other, in nanoseconds.</summary>
    internal long Latency { get; }

    /// <summary>Runs until every puller that lives has everything.</summary>
    /// <exception cref="LostShardsException">No node that lives holds some of the shards: the last of them were killed.</exception>
    /// <exception cref="InvalidOperationException">The peers do not finish although everything is there: the policy is at fault.</exception>
    public SimReport Run(CancellationToken cancellationToken)
    {
        foreach (var node in _pullers)
        {
            node.Puller!.StartAt(IsLate(node) ? Nanoseconds(_bound.Whole) / 2 : 0);
        }

        _progress.Begin();
        var limit = 100 * Nanoseconds(_bound.Whole);
        while (_unfinished > 0 && Events.Step())
        {
            if (Events.Now > limit)
            {
                throw new InvalidOperationException($"{_unfinished} peers have not finished after 100 times the bound; seed {Options.Seed}");
            }

            if (Events.Happened % (1 << 16) == 0)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }

        _progress.End();
        return Report();
    }

    internal static long Nanoseconds(TimeSpan span) => span.Ticks * TimeSpan.NanosecondsPerTick;

    internal static TimeSpan Span(long nanoseconds) => TimeSpan.FromTicks(nanoseconds / TimeSpan.NanosecondsPerTick);

    internal int NearnessOf(SimNode one, SimNode other) => Options.Racks > 1 && one.Rack == other.Rack ? Nearness.SameRack : Nearness.Elsewhere;

    /// <summary>A shard that a node sent has arrived.</summary>
    internal void OnArrived(SimNode server, int ordinal)
    {
        if (!server.IsPublisher || _brought[ordinal])
        {
            return;
        }

        _brought[ordinal] = true;
        if (++_broughtCount == Options.Shards && Options.KillPublishers)
        {
            Events.Add(Events.Now, new Death(this, _publishers), 0);
        }
    }

    /// <summary>A puller has one more shard.</summary>
    internal void OnHeld()
    {
        _held++;
        if (_held == _wanted / 2 && Options.Killed > 0)
        {
            var living = _pullers.Where(node => node.Puller!.IsRunning).ToArray();
            Random.Shuffle(living);
            Events.Add(Events.Now, new Death(this, living.Take(Options.Killed)), 0);
        }
    }

    /// <summary>Shards that no living node holds.</summary>
    private int LostShards()
    {
        var living = _nodes.Where(node => node.IsAlive).ToList();
        return Enumerable.Range(0, Options.Shards).Count(ordinal => !living.Exists(node => node.Held[ordinal]));
    }

    /// <summary>A puller has everything.</summary>
    internal void OnFinished() => _unfinished--;

    private double PublisherCopies() => (double)_publishers.Sum(node => node.Up.Bytes) / ((long)Options.Shards * Options.ShardBytes);

    private bool IsLate(SimNode node) => node.Index >= Options.Publishers + Options.Peers;

    private byte[] NextBytes(int count)
    {
        var bytes = new byte[count];
        Random.NextBytes(bytes);
        return bytes;
    }

    private SimNode AddNode(double bytesPerSecond)
    {
        var node = new SimNode(this, _nodes.Count, new Guid(NextBytes(16)), _nodes.Count % Options.Racks, bytesPerSecond);
        _nodes.Add(node);
        return node;
    }

    private void AddPublishers()
    {
        var ahead = RevealPlanner.AheadOf(Options.ShardBytes);
        for (var i = 0; i < Options.Publishers; i++)
        {
            var node = AddNode(Options.BytesPerSecond);
            for (var ordinal = i; ordinal < Options.Shards; ordinal += Options.Publishers)
            {
                node.Hold(ordinal);
            }

            node.Server.Publish(ahead);
            Tracker.Join(node);
            _publishers.Add(node);
        }
    }

    private void AddPullers()
    {
        var shared = Enumerable.Range(0, Options.Shards).ToArray();
        Random.Shuffle(shared);
        var held = shared[..(int)(Options.HeldPart * Options.Shards)];
        var slow = (int)(Options.SlowPart * Options.Peers);
        for (var i = 0; i < Options.Peers + Options.Late; i++)
        {
            var node = AddNode(i < slow ? Options.BytesPerSecond / SwarmBound.SlowTimes : Options.BytesPerSecond);
            node.Puller = new SimPuller(node, this);
            _pullers.Add(node);
            if (!IsLate(node))
            {
                Array.ForEach(held, node.Hold);
            }
        }

        _unfinished = _pullers.Count;
    }

    private SimReport Report()
    {
        var finished = _pullers.Where(node => node.Puller!.FinishedAt >= 0).ToArray();
        var times = finished.Select(node => new SimFinish(
            Span(node.Puller!.FinishedAt - node.Puller.StartedAt), _bound.Of(node.Up.BytesPerSecond, IsLate(node)), IsLate(node), node.Up.BytesPerSecond < Options.BytesPerSecond));
        return new SimReport(
            Options,
            _bound.Whole,
            [.. times.OrderBy(finish => finish.OverBound)],
            PublisherCopies(),
            Network.BytesAcrossRacks,
            _nodes.Sum(node => node.Up.Bytes),
            _pullers.Sum(node => (long)node.Puller!.Hedges),
            _pullers.Sum(node => (long)node.Puller!.Busy),
            Events.Happened,
            _progress.Points);
    }

    /// <summary>Some nodes die.</summary>
    private sealed class Death(Simulation simulation, IEnumerable<SimNode> nodes) : IActor
    {
        public void On(int kind)
        {
            foreach (var node in nodes)
            {
                simulation._unfinished -= node.Puller is { FinishedAt: < 0 } ? 1 : 0;
                node.Kill();
            }

            if (simulation._unfinished > 0 && simulation.LostShards() is var lost and > 0)
            {
                throw new LostShardsException(
                    $"{lost} of {simulation.Options.Shards} shards were lost with the nodes that were killed, so {simulation._unfinished} peers cannot finish; seed {simulation.Options.Seed}");
            }
        }
    }
}
