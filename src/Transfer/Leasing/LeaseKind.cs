namespace P2PWeights.Transfer.Leasing;

/// <summary>How the holder of a lease reads the bytes; the numbers are the wire format.</summary>
internal enum LeaseKind
{
    /// <summary>It opens the file that they lie in, on the same host.</summary>
    File = 1,

    /// <summary>It reads registered memory with one-sided operations, over the queue pairs connected on the lane.</summary>
    Memory = 2,

    /// <summary>It has a GPU copy them from the peer's, on the same host.</summary>
    Gpu = 3,
}
