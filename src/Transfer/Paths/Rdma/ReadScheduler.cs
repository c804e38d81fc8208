namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// Reads shards over the queue pairs to one peer: cuts them into reads, keeps every queue filled to its depth, and moves the reads of a queue that fails to the others.
/// A read that has ended otherwise than well breaks its queue, as the hardware does with it; the other reads of that queue end flushed and move. Thread-safe; devices
/// call in from their own threads.
/// </summary>
internal sealed class ReadScheduler : IAsyncDisposable
{
    /// <summary>For reads that are not wanted any more: to end by themselves, and once more after their queues were broken.</summary>
    private static readonly TimeSpan DrainTime = TimeSpan.FromSeconds(1);

    private static readonly PathFailure Cancelled = new(FailureReasons.Failed, "cancelled");
    private static readonly PathFailure NoKey = new(FailureReasons.LaneLost, "the peer gave no key for a queue pair that works");
    private static readonly PathFailure LeaseEnded = new(FailureReasons.LeaseExpired, "the lease ended before all of the shard was read");

    private readonly Lock _gate = new();
    private readonly Slot[] _slots;
    private readonly int _readBytes;
    private readonly TimeProvider _time;
    private readonly Stack<Read> _spare = new();
    private readonly List<PlannedRead> _plan = [];
    private readonly QueueLoad[] _loads;
    private readonly Queue<PathFailure> _losses = new();

    /// <param name="queues">Connected queues; disposed with this.</param>
    /// <param name="readBytes">Bytes per read.</param>
    public ReadScheduler(IEnumerable<IReadQueue> queues, int readBytes, TimeProvider time)
    {
        _slots = [.. queues.Select((queue, index) => new Slot(index, queue))];
        _loads = new QueueLoad[_slots.Length];
        _readBytes = readBytes;
        _time = time;
    }

    /// <summary>Why no queue works any more; null while one does.</summary>
    public PathFailure? Broken
    {
        get
        {
            lock (_gate)
            {
                return BrokenReason();
            }
        }
    }

    /// <summary>Reads a range of the shard. Returns when the device writes no more, whatever happened.</summary>
    /// <returns>Null when all bytes are there, else why this path could not bring them.</returns>
    /// <exception cref="OperationCanceledException">Cancelled, and nothing is written any more.</exception>
    public async ValueTask<PathFailure?> ReadAsync(ShardRead read, int offset, int length, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            read.Left = length;
            Assign(read, offset, length);
            Pump();
            read.TryEnd();
        }

        try
        {
            return await read.Done.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!read.Done.IsCompleted)
        {
            await DrainAsync(read).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Takes the reason why a queue broke whose reads the others took over; null when there is none that was not taken yet.</summary>
    public PathFailure? TakeLoss()
    {
        lock (_gate)
        {
            return _losses.TryDequeue(out var loss) ? loss : null;
        }
    }

    /// <summary>Breaks every queue, so that all reads end: with this failure.</summary>
    public void Break(PathFailure failure)
    {
        lock (_gate)
        {
            foreach (var slot in _slots)
            {
                Break(slot, failure);
            }

            Pump();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Break(new PathFailure(FailureReasons.LaneLost, "the channel was closed"));
        foreach (var slot in _slots)
        {
            await slot.Queue.DisposeAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Ends a read that nobody wants: posts no more of it, waits for what is posted, and takes the queue from what does not end.</summary>
    private async ValueTask DrainAsync(ShardRead read)
    {
        lock (_gate)
        {
            Fail(read, Cancelled);
        }

        if (await EndsAsync(read).ConfigureAwait(false))
        {
            return;
        }

        Slot[] stuck;
        lock (_gate)
        {
            stuck = [.. _slots.Where(slot => slot.Posted.Any(posted => posted.Owner == read))];
            foreach (var slot in stuck)
            {
                Lose(slot, new PathFailure(FailureReasons.Stall, $"{slot.Queue.Name} did not finish its reads within {DrainTime.TotalSeconds} s of a cancellation"));
            }

            Pump();
        }

        if (!await EndsAsync(read).ConfigureAwait(false))
        {
            // A device that does not even flush: without the queue pair it cannot write.
            foreach (var slot in stuck)
            {
                await slot.Queue.DisposeAsync().ConfigureAwait(false);
            }

            await read.Done.ConfigureAwait(false);
        }
    }

    private async ValueTask<bool> EndsAsync(ShardRead read)
    {
        try
        {
            await read.Done.WaitAsync(DrainTime, _time).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Spreads a range over the queues that work; without one, the read has failed.</summary>
    private void Assign(ShardRead read, int offset, int length)
    {
        foreach (var slot in _slots)
        {
            _loads[slot.Index] = new QueueLoad(slot.Failure is null && read.Keys[slot.Index] is not null, slot.Queue.Cost, slot.PendingBytes);
        }

        _plan.Clear();
        if (!ReadPlanner.TryPlan(offset, length, _readBytes, _loads, _plan))
        {
            Fail(read, BrokenReason() ?? NoKey);
            return;
        }

        foreach (var planned in _plan)
        {
            var slot = _slots[planned.Queue];
            var item = _spare.TryPop(out var spare) ? spare : new Read(this);
            (item.Owner, item.Slot, item.Offset, item.Length) = (read, slot, planned.Offset, planned.Length);
            slot.Waiting.AddLast(item.Node);
            slot.PendingBytes += planned.Length;
        }
    }

    /// <summary>Posts what waits, as far as the queues' depths go. Moving the reads of a queue that breaks here may fill another one, so it goes round until nothing is left to do.</summary>
    private void Pump()
    {
        for (var again = true; again;)
        {
            again = false;
            foreach (var slot in _slots)
            {
                while (slot.Failure is null && slot.Posted.Count < slot.Queue.Depth && slot.Waiting.First?.Value is { } read)
                {
                    if (!read.Owner.IsValid())
                    {
                        Fail(read.Owner, LeaseEnded);
                    }
                    else if (Post(slot, read) is { } failure)
                    {
                        Lose(slot, failure);
                        again = true;
                    }
                }
            }
        }
    }

    private static PathFailure? Post(Slot slot, Read read)
    {
        var owner = read.Owner;
        var key = owner.Keys[slot.Index]!.Value;
        slot.Waiting.Remove(read.Node);
        slot.Posted.Add(read);
        owner.Busy++;
        var refused = slot.Queue.Post(new QueueRead(owner.Local + read.Offset, read.Length, key.Address + (ulong)read.Offset, key.Key), read);
        if (refused is not null)
        {
            owner.Busy--;
            slot.Posted.Remove(read);
            slot.Waiting.AddFirst(read.Node);
        }

        return refused;
    }

    /// <summary>A device is done with a read.</summary>
    private void Ended(Read read, in WorkEnd end)
    {
        var (owner, slot, offset, length) = (read.Owner, read.Slot, read.Offset, read.Length);
        lock (_gate)
        {
            slot.Posted.Remove(read);
            slot.PendingBytes -= length;
            _spare.Push(read);
            if (end.Failure is not { } failure)
            {
                owner.Left -= length;
                Pump();
            }
            else
            {
                if (end.Fault == WorkFault.KeyRefused)
                {
                    // The read that fails tells the reason.
                    Break(slot, failure);
                    Fail(owner, failure);
                }
                else
                {
                    Lose(slot, failure);
                    if (owner.Failure is null)
                    {
                        Assign(owner, offset, length);
                    }
                }

                Pump();
                owner.Busy--;
                owner.TryEnd();
                return;
            }
        }

        // Outside the lock, because the callback may do anything, and before the end, because nobody expects one after it.
        owner.Received(length);
        lock (_gate)
        {
            owner.Busy--;
            owner.TryEnd();
        }
    }

    /// <summary>Breaks a queue that failed by itself. As long as another works no read fails of it, and the loss is kept to be told; the loss of the last one fails the reads.</summary>
    private void Lose(Slot slot, PathFailure failure)
    {
        if (slot.Failure is null && Array.Exists(_slots, other => other != slot && other.Failure is null && other.Queue.Failure is null))
        {
            _losses.Enqueue(failure);
        }

        Break(slot, failure);
    }

    /// <summary>The first reason stays; what waits goes to other queues, and what is posted will end flushed and follow.</summary>
    private void Break(Slot slot, PathFailure failure)
    {
        if (slot.Failure is not null)
        {
            return;
        }

        slot.Failure = failure;
        slot.Queue.Break();
        while (slot.Waiting.First?.Value is { } read)
        {
            slot.Waiting.RemoveFirst();
            slot.PendingBytes -= read.Length;
            _spare.Push(read);
            if (read.Owner.Failure is null)
            {
                Assign(read.Owner, read.Offset, read.Length);
            }
        }
    }

    /// <summary>Gives a read up: nothing more of it is posted.</summary>
    private void Fail(ShardRead read, PathFailure failure)
    {
        read.Failure ??= failure;
        foreach (var slot in _slots)
        {
            for (var node = slot.Waiting.First; node is not null;)
            {
                var next = node.Next;
                if (node.Value.Owner == read)
                {
                    slot.Waiting.Remove(node);
                    slot.PendingBytes -= node.Value.Length;
                    _spare.Push(node.Value);
                }

                node = next;
            }
        }

        read.TryEnd();
    }

    private PathFailure? BrokenReason() => Array.TrueForAll(_slots, slot => slot.Failure is not null)
        ? new PathFailure(_slots[0].Failure!.Reason, string.Join("; ", _slots.Select(slot => slot.Failure!.Detail).Distinct()))
        : null;

    /// <summary>A queue with what it has to do.</summary>
    private sealed class Slot(int index, IReadQueue queue)
    {
        public int Index => index;

        public IReadQueue Queue => queue;

        public LinkedList<Read> Waiting { get; } = new();

        public HashSet<Read> Posted { get; } = [];

        public long PendingBytes { get; set; }

        public PathFailure? Failure { get; set; }
    }

    /// <summary>One read, reused from shard to shard.</summary>
    private sealed class Read : IWorkOwner
    {
        private readonly ReadScheduler _scheduler;

        public Read(ReadScheduler scheduler)
        {
            _scheduler = scheduler;
            Node = new LinkedListNode<Read>(this);
        }

        public LinkedListNode<Read> Node { get; }

        public ShardRead Owner { get; set; } = null!;

        public Slot Slot { get; set; } = null!;

        public int Offset { get; set; }

        public int Length { get; set; }

        void IWorkOwner.Ended(in WorkEnd end) => _scheduler.Ended(this, end);
    }
}
