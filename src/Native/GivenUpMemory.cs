using System.Collections.Concurrent;

namespace P2PWeights.Native;

/// <summary>
/// Memory that a copy may still read or write, because its device stopped and never said that the copy has ended. It is kept until the process ends, out of reach of finalizers: freed, it
/// would soon be somebody else's. So are streams and events of such devices, because a finalizer that destroys them may wait without end. Thread-safe.
/// </summary>
public static class GivenUpMemory
{
    private static readonly ConcurrentBag<object> Kept = [];
    private static long _bytes;

    /// <summary>Bytes of the host's memory and of devices' that were given up so far.</summary>
    public static long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Keeps memory, and counts it.</summary>
    /// <param name="owner">What must not be finalized.</param>
    /// <param name="bytes">What copies may still read or write of it.</param>
    public static void Keep(object owner, long bytes = 0)
    {
        Kept.Add(owner);
        Interlocked.Add(ref _bytes, bytes);
    }
}
