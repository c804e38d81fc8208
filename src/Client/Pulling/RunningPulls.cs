using System.Collections.Concurrent;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Pulling;

/// <summary>The pulls under way in this node, for `p2pw status`, and so that two of them never write to one folder.</summary>
internal sealed class RunningPulls
{
    private readonly ConcurrentDictionary<Entry, byte> _entries = new();
    private readonly ConcurrentDictionary<string, Entry> _folders = new();

    public IReadOnlyList<RunningPull> Snapshot => [.. _entries.Keys.Select(entry => new RunningPull(entry.Checkpoint, entry.Folder, entry.Progress))];

    /// <summary>Registers a pull until the entry is disposed.</summary>
    /// <param name="folder">Full path of the target; null for the tiers.</param>
    /// <exception cref="NodeException"><see cref="NodeError.NotAllowed"/>: another pull has the folder.</exception>
    public Entry Enter(string checkpoint, string? folder)
    {
        var entry = new Entry(this, checkpoint, folder);
        if (folder is not null && _folders.GetOrAdd(folder, entry) is var owner && owner != entry)
        {
            throw new NodeException(
                NodeError.NotAllowed, $"a pull of {owner.Checkpoint} into {folder} is under way in this node; wait for it, or choose another folder");
        }

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

        public void Dispose()
        {
            owner._entries.TryRemove(this, out _);
            if (Folder is not null)
            {
                owner._folders.TryRemove(KeyValuePair.Create(Folder, this));
            }
        }
    }
}
