namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Bounds the bytes of the memory tier that peers on this host may keep there by renewing leases for as long as they like: an eighth, but at most
/// 1 GiB, stays for this node to work with. Thread-safe.
/// </summary>
/// <param name="memoryBytes">Size of the memory tier.</param>
internal sealed class LeaseAllowance(long memoryBytes)
{
    private long _taken;

    /// <summary>Most bytes that may be out.</summary>
    public long Bytes { get; } = memoryBytes - Math.Min(memoryBytes / 8, 1L << 30);

    /// <summary>Bytes out.</summary>
    public long Taken => Interlocked.Read(ref _taken);

    public bool TryTake(int bytes)
    {
        if (Interlocked.Add(ref _taken, bytes) <= Bytes)
        {
            return true;
        }

        Return(bytes);
        return false;
    }

    public void Return(int bytes) => Interlocked.Add(ref _taken, -bytes);
}
