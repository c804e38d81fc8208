using System.Collections.Concurrent;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Pulling;

/// <summary>The pulls under way in this node, for `p2pw status`.</summary>
internal sealed class RunningPulls
{
    private readonly ConcurrentDictionary<Entry, byte> _entries = new();

    public IReadOnlyList<RunningPull> Snapshot => [.. _entries.Keys.Select(entry => new RunningPull(entry.Checkpoint, entry.Folder, entry.Progress))];

    /// <summary>Registers a pull until the entry is disposed.</summary>
    /// <param name="folder">Full path of the target; null for the tiers.</param>
    public Entry Enter(string checkpoint, string? folder)
    {
        var entry = new Entry(this, checkpoint, folder);
        _entries.TryAdd(entry, 0);
        return entry;
    }

    internal sealed class Entry(RunningPulls owner, string checkpoint, string? folder) : IDisposable
    {
        private volatile PullProgress _progress = new(0, 0, 0, 0, 0, 0);

        public string Checkpoint { get; } = checkpoint;

        public string? Folder { get; } = folder;

        public PullProgress Progress
        {
            get => _progress;
            set => _progress = value;
        }

        public void Dispose() => owner._entries.TryRemove(this, out _);
    }
}
