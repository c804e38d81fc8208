using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Pulling;

/// <summary>What is known of one pull while it runs and after it ended. Written by the pull, read by anybody; thread-safe.</summary>
/// <param name="asked">The checkpoint as it was asked for.</param>
/// <param name="folder">Full path of the target; null for the tiers.</param>
/// <param name="watch">Where the transfer shows its report.</param>
internal sealed class PullRecord(string asked, string? folder, PullWatch watch, TimeProvider time)
{
    private readonly Lock _gate = new();
    private readonly DateTimeOffset _startedAt = time.GetUtcNow();
    private readonly long _started = time.GetTimestamp();
    private readonly List<(string Name, TimeSpan From)> _phases = [(PullPhases.Resolving, TimeSpan.Zero)];
    private readonly string _asked = asked;
    private string _checkpoint = asked;
    private Digest? _manifest;
    private PulledParts? _parts;
    private PullProgress _progress = new(0, 0, 0, 0, 0, 0);
    private PullState _state;
    private string? _failure;
    private TimeSpan? _ended;

    /// <summary>Where the transfer shows its report.</summary>
    public PullWatch Watch => watch;

    public string? Folder => folder;

    /// <summary>Tags resolved as soon as they are.</summary>
    public string Checkpoint
    {
        get
        {
            lock (_gate)
            {
                return _checkpoint;
            }
        }
    }

    public PullProgress Progress
    {
        get
        {
            lock (_gate)
            {
                return _progress;
            }
        }

        set
        {
            lock (_gate)
            {
                _progress = value;
            }
        }
    }

    /// <summary>The tracker said what it is.</summary>
    public void Resolved(string checkpoint, Digest manifest)
    {
        lock (_gate)
        {
            (_checkpoint, _manifest) = (checkpoint, manifest);
        }
    }

    /// <summary>The next part of the pull begins.</summary>
    /// <param name="phase">See <see cref="PullPhases"/>.</param>
    public void Enter(string phase)
    {
        lock (_gate)
        {
            _phases.Add((phase, Now));
        }
    }

    /// <summary>It is known what of the checkpoint is to be transferred.</summary>
    public void Divided(PulledParts parts)
    {
        lock (_gate)
        {
            _parts = parts;
        }
    }

    /// <summary>The pull has ended.</summary>
    /// <param name="failure">Why it failed; null when it did not.</param>
    public void End(PullState state, string? failure)
    {
        lock (_gate)
        {
            (_state, _failure, _ended) = (state, failure, Now);
        }
    }

    /// <summary>Whether it was asked for by this name, or is of the checkpoint of this name.</summary>
    public bool IsOf(string checkpoint) => checkpoint == _asked || checkpoint == Checkpoint;

    public PullExplanation Explain()
    {
        lock (_gate)
        {
            var elapsed = _ended ?? Now;
            PullPhase[] phases = [.. _phases.Select((phase, index) => new PullPhase(phase.Name, (index + 1 < _phases.Count ? _phases[index + 1].From : elapsed) - phase.From))];
            var transfer = Watch.Report is { } report && _parts is { } parts ? parts.Whole(report, elapsed) : null;
            return new PullExplanation(
                _checkpoint, _manifest, folder, _state, _startedAt, elapsed, phases, _progress, transfer, PhaseLimit.Find(phases, elapsed, transfer?.Limit), _failure);
        }
    }

    private TimeSpan Now => time.GetElapsedTime(_started);
}
