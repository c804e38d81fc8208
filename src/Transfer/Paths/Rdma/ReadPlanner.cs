namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// Cuts a range of a shard into one-sided reads and spreads them over the connected queue pairs, and so over the devices. Each read goes where it would end first:
/// to the queue whose bytes still to come, this read included, times what a byte costs over its device (farther from the memory, or slower, is dearer), are fewest. Bytes to come drain at the speed a queue
/// really has, so under load the split follows the speed of the devices; the cost decides how it begins. No IO.
/// </summary>
internal static class ReadPlanner
{
    /// <summary>Plans the reads for bytes <paramref name="offset"/> to <paramref name="offset"/> + <paramref name="length"/> of a shard.</summary>
    /// <param name="readBytes">Bytes per read; only the last may have fewer.</param>
    /// <param name="queues">The queues; what is planned is added to their pending bytes.</param>
    /// <param name="reads">Gets the reads, in the order of their offsets.</param>
    /// <returns>Whether there was a usable queue; if not, nothing is planned.</returns>
    public static bool TryPlan(int offset, int length, int readBytes, Span<QueueLoad> queues, List<PlannedRead> reads)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(readBytes);
        for (var limit = offset + length; offset < limit;)
        {
            var count = Math.Min(readBytes, limit - offset);
            var best = -1;
            var bestEnd = long.MaxValue;
            for (var i = 0; i < queues.Length; i++)
            {
                var end = (queues[i].PendingBytes + count) * Math.Max(1, queues[i].Cost);
                if (queues[i].Usable && end < bestEnd)
                {
                    (best, bestEnd) = (i, end);
                }
            }

            if (best < 0)
            {
                return false;
            }

            queues[best] = queues[best] with { PendingBytes = queues[best].PendingBytes + count };
            reads.Add(new PlannedRead(best, offset, count));
            offset += count;
        }

        return true;
    }
}

/// <summary>A connected queue pair as the planner sees it.</summary>
/// <param name="Usable">Whether it works and there is a key for it.</param>
/// <param name="Cost">What a byte costs over its device, compared with the others.</param>
/// <param name="PendingBytes">Bytes asked of it and not yet come.</param>
internal readonly record struct QueueLoad(bool Usable, int Cost, long PendingBytes);

/// <summary>One read: which queue, and which bytes of the shard.</summary>
internal readonly record struct PlannedRead(int Queue, int Offset, int Length);
