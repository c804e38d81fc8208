namespace P2PWeights.Transfer.Pulling.Limits;

/// <summary>Why a pull asks for no more shards at a moment.</summary>
internal enum NoMore
{
    /// <summary>Every shard is on its way or here.</summary>
    AllAsked,

    /// <summary>The sources that could be asked have been asked for as much as is good, or the window over all sources is full.</summary>
    WindowsFull,

    /// <summary>Nobody can be asked, and somebody known has not answered yet.</summary>
    Calling,

    /// <summary>Nobody who is up holds what is missing.</summary>
    NoHolder,

    /// <summary>Who holds it has no free upload slot.</summary>
    Busy,

    /// <summary>Who holds it failed, and is asked again later.</summary>
    PutOff,
}

/// <summary>
/// Where the time of a pull goes. Told at every step of the pull's loop how many shards are in each stage and why no more are asked for, it adds up two things
/// over time: the shards in each stage (over the elapsed time, Little's law's average number; John D. C. Little, "A Proof for the Queuing Formula L = λW", 1961), and the time that each term held.
/// A moment belongs to what keeps the pull from asking for more, when that is outside of this node (no holder, no slot, sources put off); else to the stages,
/// by the shards in each. Pure and owned by the pull's loop.
/// </summary>
internal sealed class StageClock
{
    private readonly double[] _shardSeconds;
    private readonly double[] _held;
    private readonly double[] _blocked = new double[Enum.GetValues<NoMore>().Length];
    private readonly int[] _last;
    private double _copyShardSeconds;
    private double _copyHeld;
    private double _otherHeld;
    private double _windowFull;
    private TimeSpan _now;
    private NoMore _lastWhy = NoMore.NoHolder;
    private (int Copies, int Awaited, bool WindowFull) _lastRest;

    /// <param name="stages">Stages of <see cref="StageCounts"/>.</param>
    public StageClock(int stages) => (_shardSeconds, _held, _last) = (new double[stages], new double[stages], new int[stages]);

    /// <summary>What has held since the last call holds until now; from now on it is this.</summary>
    /// <param name="copies">Shards being copied from the store into the folder, or waiting for that.</param>
    /// <param name="awaited">Shards that another pull of this node fetches.</param>
    public void Advance(TimeSpan now, StageCounts counts, int copies, int awaited, bool windowFull, NoMore why)
    {
        var seconds = Math.Max(0, (now - _now).TotalSeconds);
        Spend(seconds);
        _now = now;
        for (var stage = 0; stage < _last.Length; stage++)
        {
            _last[stage] = counts[stage];
        }

        (_lastWhy, _lastRest) = (why, (copies, awaited, windowFull));
    }

    /// <summary>What was added up so far.</summary>
    public IReadOnlyList<StageReport> Report(IReadOnlyList<string> paths)
    {
        var total = Math.Max(_now.TotalSeconds, 1e-9);
        var reports = new List<StageReport>();
        for (var stage = 0; stage < _held.Length; stage++)
        {
            var (term, path) = StageCounts.TermOf(stage);
            reports.Add(new StageReport(term, path < 0 ? null : paths[path], _shardSeconds[stage] / total, _held[stage] / total));
        }

        reports.Add(new StageReport(PullTerms.Copy, null, _copyShardSeconds / total, _copyHeld / total));
        reports.Add(new StageReport(PullTerms.OtherPull, null, 0, _otherHeld / total));
        reports.Add(new StageReport(PullTerms.Connect, null, 0, _blocked[(int)NoMore.Calling] / total));
        reports.Add(new StageReport(PullTerms.Source, null, 0, _blocked[(int)NoMore.NoHolder] / total));
        reports.Add(new StageReport(PullTerms.Slots, null, 0, _blocked[(int)NoMore.Busy] / total));
        reports.Add(new StageReport(PullTerms.PutOff, null, 0, _blocked[(int)NoMore.PutOff] / total));
        return [.. reports.Where(report => report.Share > 0 || report.Shards > 0).OrderByDescending(report => report.Share)];
    }

    /// <summary>The part of the time in which the window over all sources was full.</summary>
    public double WindowFull => _windowFull / Math.Max(_now.TotalSeconds, 1e-9);

    private void Spend(double seconds)
    {
        for (var stage = 0; stage < _last.Length; stage++)
        {
            _shardSeconds[stage] += seconds * _last[stage];
        }

        _copyShardSeconds += seconds * _lastRest.Copies;
        _windowFull += _lastRest.WindowFull ? seconds : 0;
        var underWay = _last.Sum() + _lastRest.Copies;
        if (_lastWhy is NoMore.Calling or NoMore.NoHolder or NoMore.Busy or NoMore.PutOff)
        {
            _blocked[(int)_lastWhy] += seconds;
        }
        else if (underWay > 0)
        {
            for (var stage = 0; stage < _last.Length; stage++)
            {
                _held[stage] += seconds * _last[stage] / underWay;
            }

            _copyHeld += seconds * _lastRest.Copies / underWay;
        }
        else if (_lastRest.Awaited > 0)
        {
            _otherHeld += seconds;
        }
        else
        {
            // Nothing is on its way and nothing forbids it: the step between two decisions, which waits for whom to ask.
            _blocked[(int)NoMore.NoHolder] += seconds;
        }
    }
}
