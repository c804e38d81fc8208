using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Pulling;

/// <summary>The pulls under way in this node and the last that ended, for `p2pw status` and `p2pw why`. Thread-safe.</summary>
internal sealed class PullHistory(TimeProvider time)
{
    /// <summary>Ended pulls that are remembered: a report is a few kilobytes.</summary>
    public const int Kept = 64;

    /// <summary>Names that a failed look-up tells.</summary>
    private const int Named = 5;

    private readonly Lock _gate = new();
    private readonly List<PullRecord> _running = [];
    private readonly Queue<PullRecord> _ended = new();

    /// <summary>The pulls under way.</summary>
    public IReadOnlyList<RunningPull> Running
    {
        get
        {
            lock (_gate)
            {
                return [.. _running.Select(pull => new RunningPull(pull.Checkpoint, pull.Folder, pull.Progress))];
            }
        }
    }

    /// <summary>Takes up a pull, until <see cref="Leave"/>.</summary>
    /// <param name="checkpoint">As it was asked for.</param>
    /// <param name="folder">Full path of the target; null for the tiers.</param>
    /// <param name="watch">Where the transfer shows its report; null for one that nobody else has.</param>
    public PullRecord Enter(string checkpoint, string? folder, PullWatch? watch = null)
    {
        var pull = new PullRecord(checkpoint, folder, watch ?? new PullWatch(), time);
        lock (_gate)
        {
            _running.Add(pull);
        }

        return pull;
    }

    /// <summary>The pull has ended, and is remembered for a while.</summary>
    public void Leave(PullRecord pull)
    {
        lock (_gate)
        {
            _running.Remove(pull);
            _ended.Enqueue(pull);
            if (_ended.Count > Kept)
            {
                _ended.Dequeue();
            }
        }
    }

    /// <summary>The newest pull of a checkpoint, running ones first.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>.</exception>
    public PullExplanation Explain(CheckpointName checkpoint)
    {
        PullRecord? found;
        List<string> others;
        lock (_gate)
        {
            var newestFirst = Enumerable.Reverse(_running).Concat(_ended.Reverse()).ToList();
            found = newestFirst.Find(pull => pull.IsOf(checkpoint.ToString()));
            others = [.. newestFirst.Select(pull => pull.Checkpoint).Distinct().Take(Named)];
        }

        return found?.Explain() ?? throw new NodeException(
            NodeError.NotFound,
            $"this node remembers no pull of {checkpoint}. It keeps the last {Kept} until it stops"
            + (others.Count > 0 ? $"; the newest are of {string.Join(", ", others)}." : ", and there was none yet.")
            + " A pull inside a command (--tracker) prints its report itself.");
    }
}
