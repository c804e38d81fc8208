using System.Globalization;
using P2PWeights.Bench.Measuring;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Bench.Paths;

/// <summary>The path <c>nvlink</c>: a pull from another process's GPU into this one's, against a plain copy between the two GPUs; inside one GPU where there is no second.</summary>
internal static class NvlinkContest
{
    private static readonly int[] StreamCounts = [1, 2, PeerCopy.MostStreams];

    public static IReadOnlyList<Tool> Tools => [];

    public static void Explain(FigureWriter writer)
    {
        if (CudaLibrary.Unavailable is { } reason)
        {
            throw new BenchException($"the path nvlink needs a GPU: {reason}");
        }

        writer.Explain($"nvlink: shards of 16 MiB, from a node's GPU to another process's {(CudaDevice.Count > 1 ? "second GPU" : "memory on the same GPU")}. /path: the path alone, 16 shards under way; /pull: the whole call, with connecting and opening the other GPU's memory.");
        writer.Explain("nvlink/peer-copy: as many bytes by cuMemcpyPeerAsync (inside one GPU: cuMemcpyDtoDAsync) in one process, 512 MiB at a time. Neither hashes: a pulled shard is hashed by its first reader.");
        writer.Explain("nvlink/peer-copy-16MiB-N-stream: the same 16 MiB at a time, all queued at once on N streams in turn: what copies of a shard's size cost by themselves, whoever asks for them.");
    }

    public static async Task RunAsync(long size, int runs, string label, FigureWriter writer, CancellationToken cancellationToken)
    {
        var bytes = Math.Max(1, size / GpuShards.ShardBytes) * GpuShards.ShardBytes;
        var (from, to) = (0, CudaDevice.Count > 1 ? 1 : 0);
        await using var reader = await NvlinkReader.StartAsync(Text(from), Text(to), bytes, cancellationToken);
        using var copy = new PeerCopy(from, to);
        writer.Write(await Rounds.MeasureAsync(
            PathsBench.Unit,
            runs,
            reader.AdoptAsync,
            [
                ($"paths/nvlink/path/{label}/peer-copy", _ => Task.FromResult(copy.Copy(bytes))),
                .. StreamCounts.Select(streams => ShardByShard(copy, bytes, streams, label)),
            ],
            cancellationToken));
        writer.Write(await Rounds.MeasureAsync(
            PathsBench.Unit, runs, reader.PullAsync, [($"paths/nvlink/pull/{label}/peer-copy", _ => Task.FromResult(copy.Copy(bytes)))], cancellationToken));
    }

    /// <summary>The anchor in pieces as small as shards.</summary>
    private static (string Figure, Func<CancellationToken, Task<Sample>> RunAsync) ShardByShard(PeerCopy copy, long bytes, int streams, string label) =>
        ($"paths/nvlink/path/{label}/peer-copy-16MiB-{streams}-stream", _ => Task.FromResult(copy.Copy(bytes, GpuShards.ShardBytes, streams)));

    private static string Text(int gpu) => gpu.ToString(CultureInfo.InvariantCulture);
}
