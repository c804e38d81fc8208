using System.Globalization;
using P2PWeights.Bench.Measuring;
using P2PWeights.Native.Cuda;
using P2PWeights.Store;

namespace P2PWeights.Bench.Paths;

/// <summary>The path <c>nvlink</c>: a pull from another process's GPU into this one's, against a plain copy between the two GPUs; inside one GPU where there is no second.</summary>
internal static class NvlinkContest
{
    /// <summary>Shards in one call of the anchor that is as small as they are.</summary>
    private const int Together = 16;

    public static IReadOnlyList<Tool> Tools => [];

    public static void Explain(FigureWriter writer)
    {
        if (CudaLibrary.Unavailable is { } reason)
        {
            throw new BenchException($"the path nvlink needs a GPU: {reason}");
        }

        writer.Explain($"nvlink: shards of 16 MiB, from a node's GPU to another process's {(CudaDevice.Count > 1 ? "second GPU" : "memory on the same GPU")}. /path: the path alone, {NvlinkReader.InFlight} shards under way, as many as a pull has; /pull: the whole call, with connecting and opening the other GPU's memory.");
        writer.Explain("nvlink/peer-copy: as many bytes by cuMemcpyPeerAsync (inside one GPU: cuMemcpyDtoDAsync) in one process, 512 MiB at a time. Neither hashes: a pulled shard is hashed by its first reader.");
        writer.Explain($"nvlink/peer-copy-16MiB, peer-copy-16MiB-together: the same 16 MiB at a time, one by one and {Together} in one call, all queued at once: what copies of a shard's size cost by themselves.");
    }

    public static async Task RunAsync(long size, int runs, string label, FigureWriter writer, CancellationToken cancellationToken)
    {
        var bytes = Math.Max(1, size / GpuShards.ShardBytes) * GpuShards.ShardBytes;
        var (from, to) = (0, CudaDevice.Count > 1 ? 1 : 0);
        await using var reader = await NvlinkReader.StartAsync(Text(from), Text(to), bytes, cancellationToken);
        using var copy = new PeerCopy(from, to);
        var before = reader.Adopted;
        writer.Write(await Rounds.MeasureAsync(
            PathsBench.Unit,
            runs,
            reader.AdoptAsync,
            [
                ($"paths/nvlink/path/{label}/peer-copy", _ => Task.FromResult(copy.Copy(bytes))),
                ($"paths/nvlink/path/{label}/peer-copy-16MiB", _ => Task.FromResult(copy.Copy(bytes, GpuShards.ShardBytes))),
                ($"paths/nvlink/path/{label}/peer-copy-16MiB-together", _ => Task.FromResult(copy.Copy(bytes, GpuShards.ShardBytes, Together))),
            ],
            cancellationToken));
        Show(writer, label, before, reader.Adopted);
        writer.Write(await Rounds.MeasureAsync(
            PathsBench.Unit, runs, reader.PullAsync, [($"paths/nvlink/pull/{label}/peer-copy", _ => Task.FromResult(copy.Copy(bytes)))], cancellationToken));
    }

    /// <summary>Which of the two it was: a GPU that was given too little to do is busy for less than the whole time, one that takes longer for small copies is busy all the time.</summary>
    private static void Show(FigureWriter writer, string label, (GpuCopies Copies, TimeSpan Time) before, (GpuCopies Copies, TimeSpan Time) after)
    {
        var done = after.Copies - before.Copies;
        writer.Info($"paths/nvlink/path/{label}/copies", done.Copies, $"of {GpuShards.ShardBytes >> 20} MiB");
        writer.Info($"paths/nvlink/path/{label}/copies-per-batch", done.Copies / (double)Math.Max(1, done.Batches), "shards, two batches under way");
        writer.Info($"paths/nvlink/path/{label}/gpu-busy", done.Busy / (after.Time - before.Time), "of the time");
    }

    private static string Text(int gpu) => gpu.ToString(CultureInfo.InvariantCulture);
}
