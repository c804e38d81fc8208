namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>A connected queue pair, as far as reading needs it: the seam between deciding which read goes where and the device.</summary>
internal interface IReadQueue : IAsyncDisposable
{
    /// <summary>For reasons: this side's device, and which queue pair.</summary>
    string Name { get; }

    /// <summary>What a byte costs over it, compared with other queues.</summary>
    int Cost { get; }

    /// <summary>Most reads posted at once.</summary>
    int Depth { get; }

    /// <summary>Why nothing can be posted on it any more, as far as that is known without trying; null while it can.</summary>
    PathFailure? Failure { get; }

    /// <summary>Posts one read.</summary>
    /// <param name="owner">Told of the end exactly once when this returns null, never on the calling thread.</param>
    /// <returns>Null, or why the read was not posted: then nobody is told.</returns>
    PathFailure? Post(in QueueRead read, IWorkOwner owner);

    /// <summary>
    /// Makes the queue pair unusable, so that everything posted ends soon and writes no more. Idempotent, does not wait, may be called on any thread.
    /// </summary>
    void Break();
}

/// <summary>What one read moves.</summary>
/// <param name="Local">Address of the first byte written, in registered memory of this process.</param>
/// <param name="Length">Bytes.</param>
/// <param name="Remote">Where the peer has them.</param>
/// <param name="Key">The peer's key for them on this queue.</param>
internal readonly record struct QueueRead(nint Local, int Length, ulong Remote, uint Key);

/// <summary>Whom the end of a piece of work concerns.</summary>
internal interface IWorkOwner
{
    /// <summary>The work has ended; the device touches its memory no more. Must not block.</summary>
    void Ended(in WorkEnd end);
}

/// <summary>How work given to a device ended.</summary>
/// <param name="Fault">What went wrong.</param>
/// <param name="Failure">The same for people and reports; null when nothing went wrong.</param>
internal readonly record struct WorkEnd(WorkFault Fault, PathFailure? Failure = null);

/// <summary>Why this path could not move something.</summary>
/// <param name="Reason">A word of <see cref="FailureReasons"/>.</param>
/// <param name="Detail">A clause for people that names the device and what happened.</param>
internal sealed record PathFailure(string Reason, string Detail);

/// <summary>Kinds of end of work given to a device, by what follows from them.</summary>
internal enum WorkFault
{
    None,

    /// <summary>The peer's device refused the key or the range: the lease is over. Another queue would be refused too, and broken by it.</summary>
    KeyRefused,

    /// <summary>The queue pair, its device or the way between failed. Another queue may do.</summary>
    Queue,
}
