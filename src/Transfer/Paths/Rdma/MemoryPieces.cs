namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// Cuts a region of memory into the pieces that a device registers when it cannot register all of it at once (<c>max_mr_size</c>). Neighbouring pieces overlap by the
/// largest shard, so that every shard lies within one piece wherever it starts: a memory window and a read each use one registration. No IO.
/// </summary>
internal static class MemoryPieces
{
    private const long PageBytes = 4096;

    /// <summary>The pieces of a region, by offset.</summary>
    /// <param name="length">Bytes of the region.</param>
    /// <param name="longest">Most bytes of one registration; 0 for any.</param>
    /// <param name="overlap">Largest range that must lie within one piece.</param>
    /// <returns>Empty when the limit leaves no room for the overlap: the device cannot be used.</returns>
    public static IReadOnlyList<(long Offset, long Length)> Cut(long length, ulong longest, long overlap)
    {
        if (longest == 0 || longest >= (ulong)length)
        {
            return [(0, length)];
        }

        var piece = (long)longest / PageBytes * PageBytes;
        var step = (piece - overlap) / PageBytes * PageBytes;
        if (step <= 0)
        {
            return [];
        }

        var pieces = new List<(long Offset, long Length)>();
        var offset = 0L;
        while (true)
        {
            var count = Math.Min(piece, length - offset);
            pieces.Add((offset, count));
            if (offset + count == length)
            {
                return pieces;
            }

            offset += step;
        }
    }
}
