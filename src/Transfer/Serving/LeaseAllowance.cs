namespace P2PWeights.Transfer.Serving;

/// <summary>How much of something leases may hold, over all peers. Thread-safe.</summary>
/// <param name="most">Most that may be out.</param>
internal sealed class LeaseAllowance(long most)
{
    private long _taken;

    /// <summary>Most that may be out.</summary>
    public long Most => most;

    /// <summary>What is out.</summary>
    public long Taken => Interlocked.Read(ref _taken);

    /// <summary>
    /// The bytes of the memory tier that peers on this host may keep there for as long as they renew their leases: an eighth, but at most 1 GiB, stays for this node to work with.
    /// </summary>
    public static LeaseAllowance OfMemory(long memoryBytes) => new(memoryBytes - Math.Min(memoryBytes / 8, 1L << 30));

    public bool TryTake(int count)
    {
        if (Interlocked.Add(ref _taken, count) <= most)
        {
            return true;
        }

        Return(count);
        return false;
    }

    public void Return(int count) => Interlocked.Add(ref _taken, -count);
}
