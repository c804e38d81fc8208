namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>A range of a shard on its way in by one-sided reads. Its state belongs to the <see cref="ReadScheduler"/> that reads it, under that one's lock.</summary>
internal sealed class ShardRead
{
    private readonly TaskCompletionSource<PathFailure?> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="local">Where the shard's first byte goes.</param>
    /// <param name="keys">Per queue of the scheduler: where the shard's first byte is and the key; null where the peer gave none.</param>
    /// <param name="isValid">Whether the peer still promises that the bytes are there.</param>
    /// <param name="received">Told of new bytes.</param>
    public ShardRead(nint local, IReadOnlyList<QueueKey?> keys, Func<bool> isValid, Action<int> received) =>
        (Local, Keys, IsValid, Received) = (local, keys, isValid, received);

    public nint Local { get; }

    public IReadOnlyList<QueueKey?> Keys { get; }

    public Func<bool> IsValid { get; }

    public Action<int> Received { get; }

    /// <summary>Bytes that have not come.</summary>
    public int Left { get; set; }

    /// <summary>Reads that a device may still be writing for, and callbacks that run.</summary>
    public int Busy { get; set; }

    /// <summary>Why it cannot be completed; the first reason counts.</summary>
    public PathFailure? Failure { get; set; }

    /// <summary>Ends when no device writes any more: null when all bytes came, else why not.</summary>
    public Task<PathFailure?> Done => _done.Task;

    /// <summary>Ends it if nothing is left to wait for.</summary>
    public void TryEnd()
    {
        if (Busy == 0 && (Left == 0 || Failure is not null))
        {
            _done.TrySetResult(Left == 0 ? null : Failure);
        }
    }
}

/// <summary>Where the peer has a shard's first byte, and the key under which one queue may read it.</summary>
internal readonly record struct QueueKey(ulong Address, uint Key);
