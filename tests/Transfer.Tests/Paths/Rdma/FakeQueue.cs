using P2PWeights.Transfer.Paths.Rdma;

namespace P2PWeights.Transfer.Tests.Paths.Rdma;

/// <summary>A queue pair whose device is the test: posted reads wait until the test ends them. "Reads" by copying within the process.</summary>
internal sealed class FakeQueue(string name, int depth = 4, int cost = 10) : IReadQueue
{
    private readonly Lock _gate = new();
    private readonly List<(QueueRead Request, IWorkOwner Owner)> _posted = [];
    private bool _isBroken;

    public string Name => name;

    public int Cost => cost;

    public int Depth => depth;

    /// <summary>Ends posted reads as flushed as soon as the queue is broken, as devices do; false for one that hangs.</summary>
    public bool Flushes { get; init; } = true;

    /// <summary>What is known to be wrong with its device.</summary>
    public PathFailure? Failure { get; set; }

    /// <summary>What posting fails with.</summary>
    public string? RefusesPosts { get; set; }

    public bool IsBroken => Volatile.Read(ref _isBroken);

    public bool IsDisposed { get; private set; }

    /// <summary>Most reads that were posted at once.</summary>
    public int MostPosted { get; private set; }

    public int Posted
    {
        get
        {
            lock (_gate)
            {
                return _posted.Count;
            }
        }
    }

    public PathFailure? Post(in QueueRead read, IWorkOwner owner)
    {
        lock (_gate)
        {
            Assert.False(_isBroken, $"{name} was posted to after it was broken");
            if (RefusesPosts is not null)
            {
                return new PathFailure(FailureReasons.Failed, $"{name}: {RefusesPosts}");
            }

            _posted.Add((read, owner));
            MostPosted = Math.Max(MostPosted, _posted.Count);
            return null;
        }
    }

    public void Break()
    {
        Volatile.Write(ref _isBroken, true);
        if (Flushes)
        {
            _ = Task.Run(EndAll);
        }
    }

    public ValueTask DisposeAsync()
    {
        IsDisposed = true;
        Volatile.Write(ref _isBroken, true);
        return new ValueTask(Task.Run(EndAll));
    }

    /// <summary>Ends the read that was posted first.</summary>
    public unsafe bool EndOne(WorkFault fault = WorkFault.None, string? reason = null)
    {
        (QueueRead Request, IWorkOwner Owner) first;
        lock (_gate)
        {
            if (_posted.Count == 0)
            {
                return false;
            }

            first = _posted[0];
            _posted.RemoveAt(0);
        }

        if (fault == WorkFault.None)
        {
            Buffer.MemoryCopy((void*)first.Request.Remote, (void*)first.Request.Local, first.Request.Length, first.Request.Length);
        }

        first.Owner.Ended(new WorkEnd(fault, fault == WorkFault.None ? null : new PathFailure(FailureReasons.LaneLost, $"{name}: {reason}")));
        return true;
    }

    private void EndAll()
    {
        while (EndOne(WorkFault.Queue, "flushed"))
        {
        }
    }
}
