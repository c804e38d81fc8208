namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// Cuts a range of a shard into one-sided reads and spreads them over the connected queue pairs, and so over the devices. Each read goes where it would end first:
/// to the queue whose bytes still to come, this read included, times the distance of its device to the memory, are fewest. Bytes to come drain at the speed a queue
/// really has, so under load the split follows the speed of the devices; the distance decides how it begins. No IO.
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
        for (var end = offset + length; offset < end;)
        {
            var count = Math.Min(readBytes, end - offset);
            var best = -1;
            var bestCost = long.MaxValue;
            for (var i = 0; i < queues.Length; i++)
            {
                var cost = (queues[i].PendingBytes + count) * Math.Max(1, queues[i].Distance);
                if (queues[i].Usable && cost < bestCost)
                {
                    (best, bestCost) = (i, cost);
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
/// <param name="Distance">Distance of its device to the memory, in the units of the kernel's NUMA distances: 10 is the same node, 20 twice as far.</param>
/// <param name="PendingBytes">Bytes asked of it and not yet come.</param>
internal readonly record struct QueueLoad(bool Usable, int Distance, long PendingBytes);

/// <summary>One read: which queue, and which bytes of the shard.</summary>
internal readonly record struct PlannedRead(int Queue, int Offset, int Length);
