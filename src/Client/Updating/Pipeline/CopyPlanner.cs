namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>One copy into a slot.</summary>
/// <param name="Pieces">What it brings, in the order of their places; several only when it is staged.</param>
/// <param name="IsStaged">Whether the bytes are put together in a staging block first.</param>
internal readonly record struct PlannedCopy(ArraySegment<ShardPiece> Pieces, bool IsStaged)
{
    /// <summary>First byte in the slot.</summary>
    public long SlotOffset => Pieces[0].SlotOffset;

    /// <summary>Bytes from the first to the last, padding included.</summary>
    public int Length => (int)(Pieces[^1].SlotOffset + Pieces[^1].Length - SlotOffset);
}

/// <summary>
/// Decides which bytes go straight from the arena to the device and which are gathered first: those of files, and small pieces, for which a copy of their own would cost
/// more than their bytes. Pure.
/// </summary>
internal static class CopyPlanner
{
    /// <summary>Bytes of a staging block.</summary>
    public const int BlockBytes = 4 << 20;

    /// <summary>Below this a copy call costs more than copying the bytes once more: about 5 µs against 10 GB/s.</summary>
    public const int SmallPieceBytes = 64 << 10;

    /// <param name="pieces">Those of a bucket, in the order of their places.</param>
    /// <param name="start">First byte of the slot that is wanted.</param>
    /// <param name="length">Bytes wanted.</param>
    /// <param name="isInArena">Whether a shard lies in the arena.</param>
    public static List<PlannedCopy> Plan(ReadOnlySpan<ShardPiece> pieces, long start, long length, Func<int, bool> isInArena)
    {
        var cut = new List<(ShardPiece Piece, bool IsStaged)>();
        foreach (var piece in pieces)
        {
            var from = Math.Max(piece.SlotOffset, start);
            var to = Math.Min(piece.SlotOffset + piece.Length, start + length);
            if (from < to)
            {
                var isStaged = !isInArena(piece.Ordinal) || piece.Length < SmallPieceBytes;
                for (var offset = from; offset < to; offset += BlockBytes)
                {
                    var end = isStaged ? Math.Min(to, offset + BlockBytes) : to;
                    cut.Add((new ShardPiece(piece.Ordinal, piece.Start + (int)(offset - piece.SlotOffset), offset, (int)(end - offset)), isStaged));
                    if (!isStaged)
                    {
                        break;
                    }
                }
            }
        }

        var all = cut.ConvertAll(one => one.Piece).ToArray();
        var copies = new List<PlannedCopy>();
        for (var i = 0; i < all.Length; i++)
        {
            // Neighbours only: what lies between two pieces of a block is overwritten with it.
            if (copies.Count > 0 && copies[^1] is { IsStaged: true } last && cut[i].IsStaged && all[i].SlotOffset + all[i].Length - last.SlotOffset <= BlockBytes)
            {
                copies[^1] = last with { Pieces = new ArraySegment<ShardPiece>(all, last.Pieces.Offset, last.Pieces.Count + 1) };
            }
            else
            {
                copies.Add(new PlannedCopy(new ArraySegment<ShardPiece>(all, i, 1), cut[i].IsStaged));
            }
        }

        return copies;
    }
}
