namespace P2PWeights.Store;

/// <summary>A moment between two steps of concurrent code.</summary>
internal enum FaultPoint
{
    /// <summary>A commit was found running, and one after it is about to be asked for.</summary>
    CommitFoundRunning,

    /// <summary>The commit before has ended, and the next one is about to begin.</summary>
    NextCommitBegins,

    /// <summary>Bytes that nobody has verified are about to be copied into an extent of a folder's file.</summary>
    CopyBegins,

    /// <summary>Verified bytes wait for the one who writes to their extent.</summary>
    WriteWaits,

    /// <summary>Memory in the place of a GPU's is about to be written to.</summary>
    DeviceCopies,
}

/// <summary>
/// Lets a test have something happen at a <see cref="FaultPoint"/>, so that what a race would do is seen every time, and not by luck. Without a test, a point costs a look at a field.
/// </summary>
internal static class FaultPoints
{
    private static readonly AsyncLocal<Action<FaultPoint>?> Reached = new();
    private static volatile bool _isUsed;

    /// <summary>The code has got there.</summary>
    public static void Reach(FaultPoint point)
    {
        if (_isUsed)
        {
            Reached.Value?.Invoke(point);
        }
    }

    /// <summary>From here on, what the caller does and starts calls this at every point, on the thread that gets there and under the locks that it holds. Others, who run beside it, do not.</summary>
    public static void Watch(Action<FaultPoint> reached) => (_isUsed, Reached.Value) = (true, reached);
}
