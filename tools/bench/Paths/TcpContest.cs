using P2PWeights.Bench.Measuring;
using P2PWeights.Bench.Pulling;

namespace P2PWeights.Bench.Paths;

/// <summary>The path <c>tcp</c>: a verified pull into memory against iperf3, and against nginx with curl.</summary>
internal static class TcpContest
{
    public static IReadOnlyList<Tool> Tools => [Iperf3.Command, Nginx.Server, Nginx.Client];

    public static void Explain(FigureWriter writer)
    {
        writer.Explain("tcp: one node pulls a checkpoint from another's memory tier into its own over loopback, every byte hashed; the time is that of the whole call.");
        writer.Explain("tcp/iperf3: as many bytes over one stream (256 MiB at least); tcp/nginx: a file in tmpfs by sendfile to `curl --output /dev/null`. Nobody looks at the bytes, and connecting is left out.");
    }

    public static async Task RunAsync(long size, int runs, string label, FigureWriter writer, CancellationToken cancellationToken)
    {
        var turns = PullCluster.TurnsOf(size);
        SharedMemoryFolder.RequireFree((turns + 2) * size + PullCluster.ConsumerBytes(size));
        using var folder = new SharedMemoryFolder();
        folder.CreateRandomFile("data", size);
        await using var iperf3 = await Iperf3.StartAsync(cancellationToken);
        await using var nginx = await Nginx.StartAsync(folder, folder.Path, connectionRate: 0, cancellationToken);
        await using var cluster = await PullCluster.StartAsync(folder, copy: true, size, turns, cancellationToken);
        var consumer = await cluster.AddConsumerAsync("tcp", cancellationToken);

        // The first pulls find memory that nobody has touched, which the kernel clears on the way.
        await consumer.PullAsync(folder: null, cancellationToken);
        await consumer.PullAsync(folder: null, cancellationToken);
        writer.Write(await Rounds.MeasureAsync(
            PathsBench.Unit,
            runs,
            token => consumer.PullAsync(folder: null, token),
            [
                ($"paths/tcp/{label}/iperf3", token => iperf3.SendAsync(size, token)),
                ($"paths/tcp/{label}/nginx", token => nginx.GetAsync("data", size, token)),
            ],
            cancellationToken));
    }
}
