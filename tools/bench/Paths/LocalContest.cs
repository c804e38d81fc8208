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
        await RunToFolderAsync(size, runs, label, writer, cancellationToken);
    }

    private static async Task RunAsync(bool copy, long size, int runs, string label, FigureWriter writer, CancellationToken cancellationToken)
    {
        // What a node adopted stays: a checkpoint per round.
        var contents = runs + 1;
        var turns = PullCluster.TurnsOf(size);
        SharedMemoryFolder.RequireFree((contents + turns + 3) * size + 4 * PullCluster.ConsumerBytes(size));
        using var folder = new SharedMemoryFolder();
        var data = folder.CreateRandomFile("data", size);
        await using var cluster = await PullCluster.StartAsync(folder, copy, size, contents, cancellationToken);

        // Apart, because a node of the same cluster would be a source to borrow from as well, and what is borrowed from it could not be evicted for its next pull.
        using var folderApart = new SharedMemoryFolder("-tcp");
        await using var clusterApart = await PullCluster.StartAsync(folderApart, copy, size, turns, cancellationToken);
        var overTcp = await clusterApart.AddConsumerAsync("tcp", cancellationToken);
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
    }

    /// <summary>In a cluster of its own: with two sources the last shards would be asked for twice.</summary>
    private static async Task RunToFolderAsync(long size, int runs, string label, FigureWriter writer, CancellationToken cancellationToken)
    {
        var contents = runs + 1;
        SharedMemoryFolder.RequireFree((contents + 3) * size + PullCluster.ConsumerBytes(size));
        using var folder = new SharedMemoryFolder();
        var data = folder.CreateRandomFile("data", size);
        await using var cluster = await PullCluster.StartAsync(folder, copy: false, size, contents, cancellationToken);
        var local = await cluster.AddConsumerAsync("local", cancellationToken);
        writer.Write(await Rounds.MeasureAsync(
            PathsBench.Unit,
            runs,
            token => PullToAsync(local, folder["pulled"], token),
            [
                ($"paths/local/folder/{label}/cp", token => Copying.CopyFileAsync(data, folder["copy"], token)),
                ($"paths/local/folder/{label}/memcpy", _ => Task.FromResult(Copying.CopyMemory(size))),
            ],
            cancellationToken));
    }

    private static async Task<Sample> PullToAsync(PullConsumer consumer, string folder, CancellationToken cancellationToken)
    {
        var sample = await consumer.PullAsync(folder, cancellationToken);
        Directory.Delete(folder, recursive: true);
        return sample;
    }
}
