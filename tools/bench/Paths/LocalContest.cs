using P2PWeights.Bench.Measuring;
using P2PWeights.Bench.Pulling;

namespace P2PWeights.Bench.Paths;

/// <summary>The path <c>local</c>: adopting what a node of the same host holds, and pulling it into a folder, against cp, memcpy and the same pull over TCP.</summary>
internal static class LocalContest
{
    public static IReadOnlyList<Tool> Tools => [Copying.Cp];

    public static void Explain(FigureWriter writer)
    {
        writer.Explain("local/memory, local/reference: a second node of this host pulls a checkpoint into its tiers, from the other's memory tier or published files; the time is that of the whole call.");
        writer.Explain("local/folder: it pulls the published files into a folder, every byte hashed.");
        writer.Explain("/cp: cp of a file of that size within tmpfs; /memcpy: one thread, in 16 MiB parts, memory touched before; /tcp: the same pull by a node that may use tcp only.");
    }

    public static async Task RunAsync(long size, int runs, string label, FigureWriter writer, CancellationToken cancellationToken)
    {
        await RunAsync(copy: true, size, runs, label, writer, cancellationToken);
        await RunAsync(copy: false, size, runs, label, writer, cancellationToken);
    }

    private static async Task RunAsync(bool copy, long size, int runs, string label, FigureWriter writer, CancellationToken cancellationToken)
    {
        // What a node adopted stays: a checkpoint per round. And per figure one, since a folder's files are adopted by nobody before they are pulled.
        var contents = runs + 1;
        SharedMemoryFolder.RequireFree((contents + 2) * size + 2 * PullCluster.ConsumerBytes(size));
        using var folder = new SharedMemoryFolder();
        var data = folder.CreateRandomFile("data", size);
        await using var cluster = await PullCluster.StartAsync(folder, copy, size, contents, cancellationToken);
        var overTcp = await cluster.AddConsumerAsync("tcp", cancellationToken);
        var local = await cluster.AddConsumerAsync("local", cancellationToken);
        var tier = copy ? "memory" : "reference";
        writer.Write(await Rounds.MeasureAsync(
            PathsBench.Unit,
            runs,
            token => local.PullAsync(folder: null, token),
            [
                ($"paths/local/{tier}/{label}/cp", token => Copying.CopyFileAsync(data, folder["copy"], token)),
                ($"paths/local/{tier}/{label}/memcpy", _ => Task.FromResult(Copying.CopyMemory(size))),
                ($"paths/local/{tier}/{label}/tcp", token => overTcp.PullAsync(folder: null, token)),
            ],
            cancellationToken));
        if (!copy)
        {
            var fresh = await cluster.AddConsumerAsync("local", cancellationToken);
            writer.Write(await Rounds.MeasureAsync(
                PathsBench.Unit,
                runs,
                token => PullToAsync(fresh, folder["pulled"], token),
                [
                    ($"paths/local/folder/{label}/cp", token => Copying.CopyFileAsync(data, folder["copy"], token)),
                    ($"paths/local/folder/{label}/memcpy", _ => Task.FromResult(Copying.CopyMemory(size))),
                ],
                cancellationToken));
        }
    }

    private static async Task<Sample> PullToAsync(PullConsumer consumer, string folder, CancellationToken cancellationToken)
    {
        var sample = await consumer.PullAsync(folder, cancellationToken);
        Directory.Delete(folder, recursive: true);
        return sample;
    }
}
