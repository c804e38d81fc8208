namespace P2PWeights.Sim;

/// <summary>Something that events happen to.</summary>
internal interface IActor
{
    /// <summary>The event of this kind, whose meaning is the actor's own, happens now.</summary>
    void On(int kind);
}

/// <summary>
/// What happens when: a heap of events in virtual nanoseconds. Events of the same moment happen in the order in which they were added, so that a run depends on its seed alone.
/// </summary>
internal sealed class EventQueue
{
    /// <summary>Children per node: fewer cache lines are touched than with two.</summary>
    private const int Arity = 4;

    private Entry[] _heap = new Entry[1024];
    private int _count;
    private long _added;

    /// <summary>Virtual time since the start.</summary>
    public long Now { get; private set; }

    /// <summary>Events that have happened.</summary>
    public long Happened { get; private set; }

    /// <summary>Has an event happen at a time that is not in the past.</summary>
    public void Add(long at, IActor actor, int kind)
    {
        if (_count == _heap.Length)
        {
            Array.Resize(ref _heap, 2 * _count);
        }

        var entry = new Entry(at, _added++, actor, kind);
        var i = _count++;
        while (i > 0)
        {
            var parent = (i - 1) / Arity;
            if (!entry.IsBefore(_heap[parent]))
            {
                break;
            }

            _heap[i] = _heap[parent];
            i = parent;
        }

        _heap[i] = entry;
    }

    /// <summary>Has the next event happen; false when there is none.</summary>
    public bool Step()
    {
        if (_count == 0)
        {
            return false;
        }

        var first = _heap[0];
        var last = _heap[--_count];
        _heap[_count] = default;
        if (_count > 0)
        {
            Sink(last);
        }

        Now = first.At;
        Happened++;
        first.Actor.On(first.Kind);
        return true;
    }

    private void Sink(in Entry entry)
    {
        var i = 0;
        while (true)
        {
            var child = (i * Arity) + 1;
            if (child >= _count)
            {
                break;
            }

            var least = child;
            for (var c = child + 1; c < Math.Min(child + Arity, _count); c++)
            {
                if (_heap[c].IsBefore(_heap[least]))
                {
                    least = c;
                }
            }

            if (!_heap[least].IsBefore(entry))
            {
                break;
            }

            _heap[i] = _heap[least];
            i = least;
        }

        _heap[i] = entry;
    }

    private readonly record struct Entry(long At, long Order, IActor Actor, int Kind)
    {
        public bool IsBefore(in Entry other) => At != other.At ? At < other.At : Order < other.Order;
    }
}
