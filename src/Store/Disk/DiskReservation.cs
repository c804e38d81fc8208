namespace P2PWeights.Store.Disk;

/// <summary>Quota of the disk tier taken before a shard is written. Kept when the shard is stored, given back otherwise.</summary>
internal sealed class DiskReservation(DiskTier disk, long bytes) : IDisposable
{
    private bool _settled;

    /// <summary>The bytes belong to a stored shard now.</summary>
    public void Keep() => _settled = true;

    public void Dispose()
    {
        if (!_settled)
        {
            _settled = true;
            disk.GiveBack(bytes);
        }
    }
}
