using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Testing;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Tests.Swarms;

/// <summary>
/// A pull in virtual time: the real planner, driven as a pull drives it, and sources that are nothing but a rate, a round trip and two lanes each. Time goes in
/// milliseconds; a run depends on its seed alone.
/// </summary>
internal sealed class SimulatedPull
{
    private const int Lanes = 2;
    private const int TickMs = 100;
    private static readonly TimeSpan StallTimeout = TimeSpan.FromSeconds(2);

    private readonly int _shardBytes;
    private readonly PullPlanner _planner;
    private readonly List<Source> _sources = [];
    private readonly Seeded _seeded;
    private readonly long _totalBytes;

    public SimulatedPull(Seeded seeded, int shards, int shardBytes, long windowBytes = 256L << 20)
    {
        (_seeded, _shardBytes, _totalBytes) = (seeded, shardBytes, (long)shards * shardBytes);
        var table = Enumerable.Range(0, shards).Select(_ => new ShardInfo(new Digest(seeded.Bytes(Digest.Size)), shardBytes)).ToImmutableArray();
        _planner = new PullPlanner(table, Enumerable.Range(0, shards), new PlannerOptions(windowBytes, Lanes), seeded.Random);
    }

    /// <summary>The time since the pull began.</summary>
    public TimeSpan Now { get; private set; }

    /// <summary>Shards asked for a second time.</summary>
    public int Hedges { get; private set; }

    /// <summary>Fetches that were given up or lost.</summary>
    public int Failures { get; private set; }

    /// <summary>Bytes received of fetches that did not bring a shard.</summary>
    public double WastedBytes { get; private set; }

    /// <summary>The same, as part of what was pulled.</summary>
    public double WastedPart => WastedBytes / _totalBytes;

    /// <summary>Called every simulated millisecond, before anything moves: rates may change, sources may go.</summary>
    public Action? EachStep { get; set; }

    /// <summary>Adds a source that holds every shard.</summary>
    public Source Add(double bytesPerSecond, TimeSpan roundTrip = default)
    {
        var planned = _planner.AddSource(Guid.NewGuid());
        planned.RoundTrip = roundTrip;
        var all = new ShardBitmap(planned.Held.Length);
        for (var ordinal = 0; ordinal < all.Length; ordinal++)
        {
            all[ordinal] = true;
        }

        _planner.SetHeld(planned, all, isPublisher: false);
        var source = new Source(planned, roundTrip) { BytesPerSecond = bytesPerSecond };
        _sources.Add(source);
        return source;
    }

    /// <summary>A source is killed: everything asked of it is lost.</summary>
    public void Kill(Source source)
    {
        _sources.Remove(source);
        _planner.RemoveSource(source.Planned);
        FailAll(source);
    }

    /// <summary>Runs to the end.</summary>
    /// <returns>How long it took.</returns>
    public TimeSpan Run()
    {
        Ask();
        while (_planner.Left > 0)
        {
            Assert.True(Now < TimeSpan.FromHours(1), $"the pull does not end; {this}");
            Now += TimeSpan.FromMilliseconds(1);
            EachStep?.Invoke();
            foreach (var source in _sources)
            {
                Send(source, source.BytesPerSecond / 1000);
            }

            if (Now.TotalMilliseconds % TickMs == 0)
            {
                _sources.ToList().ForEach(Tick);
            }

            Ask();
        }

        return Now;
    }

    public override string ToString() =>
        $"{Now.TotalSeconds:0.000} s, {Hedges} hedges, {WastedPart:P1} wasted ({_planner.Left} shards left, {string.Join(" ", _sources)}); {_seeded}";

    private void Ask()
    {
        while (_planner.Next(Now) is { } assignment)
        {
            var source = _sources.Single(s => s.Planned == assignment.Source);
            source.Queue.Add(new Flow(assignment, Now + source.RoundTrip, _shardBytes));
            Hedges += assignment.Hedge ? 1 : 0;
        }
    }

    /// <summary>The first flow of each lane gets an equal part of what the source sends.</summary>
    private void Send(Source source, double bytes)
    {
        while (bytes > 1e-6)
        {
            var lanes = source.Queue.Where(flow => flow.StartsAt <= Now).Take(Lanes).ToList();
            if (lanes.Count == 0)
            {
                return;
            }

            var part = Math.Min(bytes / lanes.Count, lanes.Min(flow => flow.Left));
            foreach (var flow in lanes)
            {
                bytes -= part;
                flow.Left -= part;
                source.Sent += part;
                source.LastByte = Now;
                source.Received += flow.IsAbandoned ? 0 : part;
                if (flow.Left < 1e-3)
                {
                    source.Queue.Remove(flow);
                    Arrive(flow);
                }
            }
        }
    }

    private void Arrive(Flow flow)
    {
        if (flow.IsAbandoned)
        {
            return;
        }

        _planner.Received(flow.Assignment);
        _planner.Done(flow.Assignment);
        foreach (var source in _sources)
        {
            foreach (var loser in source.Queue.Where(other => !other.IsAbandoned && other.Assignment.Ordinal == flow.Assignment.Ordinal).ToList())
            {
                GiveUp(source, loser);
            }
        }
    }

    /// <summary>A fetch that has not begun is cancelled for nothing; of one that has, the rest comes all the same and is thrown away.</summary>
    private void GiveUp(Source source, Flow flow)
    {
        Failures++;
        WastedBytes += _shardBytes - flow.Left;
        _planner.Failed(flow.Assignment, wasReceived: false);
        flow.IsAbandoned = true;
        if (flow.Left == _shardBytes)
        {
            source.Queue.Remove(flow);
        }
    }

    private void FailAll(Source source)
    {
        foreach (var flow in source.Queue.Where(flow => !flow.IsAbandoned).ToList())
        {
            GiveUp(source, flow);
        }
    }

    private void Tick(Source source)
    {
        source.Planned.Progress((long)(source.Received - source.Told), Now);
        source.Told += (long)(source.Received - source.Told);
        if (source.Planned.Outstanding == 0)
        {
            source.LastByte = Now;
        }
        else if (Now - source.LastByte >= StallTimeout)
        {
            FailAll(source);
            source.Planned.NotBefore = Now + StallTimeout;
            source.LastByte = Now;
        }
    }

    /// <summary>A source: what it sends, and when its answers begin.</summary>
    internal sealed class Source(PlannedSource planned, TimeSpan roundTrip)
    {
        public PlannedSource Planned => planned;

        public TimeSpan RoundTrip => roundTrip;

        public double BytesPerSecond { get; set; }

        /// <summary>All bytes that it sent.</summary>
        public double Sent { get; set; }

        /// <summary>Bytes that the pull still wanted when they came.</summary>
        public double Received { get; set; }

        public double Told { get; set; }

        public TimeSpan LastByte { get; set; }

        public List<Flow> Queue { get; } = [];

        public override string ToString() => $"{Sent / 1e6:0}MB";
    }

    /// <summary>A shard on its way.</summary>
    internal sealed class Flow(Assignment assignment, TimeSpan startsAt, double left)
    {
        public Assignment Assignment => assignment;

        public TimeSpan StartsAt => startsAt;

        public double Left { get; set; } = left;

        public bool IsAbandoned { get; set; }
    }
}
