namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// Work given to a device and not yet completed, by the number that the device hands back. A number is never used twice, so that a completion left over from a queue
/// pair that is gone finds nothing. Thread-safe.
/// </summary>
internal sealed class WorkTable
{
    private readonly Lock _gate = new();
    private readonly Stack<int> _free = new();
    private Entry[] _entries = [];
    private int _outstanding;

    /// <summary>Work that has not completed.</summary>
    public int Outstanding => Volatile.Read(ref _outstanding);

    /// <summary>Enters work. Returns its number.</summary>
    public ulong Add(RdmaQueue queue, IWorkOwner owner)
    {
        lock (_gate)
        {
            if (_free.Count == 0)
            {
                var old = _entries.Length;
                Array.Resize(ref _entries, Math.Max(64, 2 * old));
                for (var i = _entries.Length - 1; i >= old; i--)
                {
                    _free.Push(i);
                }
            }

            var index = _free.Pop();
            ref var entry = ref _entries[index];
            (entry.Queue, entry.Owner) = (queue, owner);
            Interlocked.Increment(ref _outstanding);
            return ((ulong)entry.Generation << 32) | (uint)index;
        }
    }

    /// <summary>Takes work out by its number; false when there is none of it any more.</summary>
    public bool TryTake(ulong id, out RdmaQueue queue, out IWorkOwner owner)
    {
        lock (_gate)
        {
            var index = (uint)id;
            if (index < _entries.Length && _entries[index].Owner is not null && _entries[index].Generation == (uint)(id >> 32))
            {
                (queue, owner) = Take((int)index);
                return true;
            }
        }

        (queue, owner) = (null!, null!);
        return false;
    }

    /// <summary>Takes out everything of one queue.</summary>
    public IReadOnlyList<IWorkOwner> TakeAll(RdmaQueue queue)
    {
        var taken = new List<IWorkOwner>();
        lock (_gate)
        {
            for (var i = 0; i < _entries.Length; i++)
            {
                if (_entries[i].Queue == queue)
                {
                    taken.Add(Take(i).Owner);
                }
            }
        }

        return taken;
    }

    private (RdmaQueue Queue, IWorkOwner Owner) Take(int index)
    {
        ref var entry = ref _entries[index];
        var work = (entry.Queue!, entry.Owner!);
        entry = new Entry { Generation = entry.Generation + 1 };
        _free.Push(index);
        Interlocked.Decrement(ref _outstanding);
        return work;
    }

    private struct Entry
    {
        public RdmaQueue? Queue;
        public IWorkOwner? Owner;
        public uint Generation;
    }
}
