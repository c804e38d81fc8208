using P2PWeights.Bench.Measuring;
using P2PWeights.Bench.Paths;

namespace P2PWeights.Bench.Swarm;

/// <summary>The anchor: no swarm at all, every node gets the file from one nginx, which sends no more than one of our nodes may.</summary>
internal sealed class NginxStar : IAsyncDisposable
{
    private const string File = "star.bin";

    private readonly Nginx _nginx;
    private readonly int _clients;
    private readonly long _bytes;

    private NginxStar(Nginx nginx, int clients, long bytes) => (_nginx, _clients, _bytes) = (nginx, clients, bytes);

    /// <summary>Each client's connection gets its part of the rate. So does each its part of the checkpoint: at a rate that stays the same, the whole would take as many times as long.</summary>
    public static async Task<NginxStar> StartAsync(SharedMemoryFolder folder, SwarmShape shape, CancellationToken cancellationToken)
    {
        var clients = shape.Nodes - 1;
        var bytes = shape.Bytes / clients;
        folder.CreateRandomFile(File, bytes);
        return new NginxStar(await Nginx.StartAsync(folder, folder.Path, shape.Rate / clients, cancellationToken), clients, bytes);
    }

    /// <summary>Bytes per second of the slowest client.</summary>
    public async Task<double> RunAsync(CancellationToken cancellationToken)
    {
        var samples = await Task.WhenAll(Enumerable.Range(0, _clients).Select(_ => _nginx.GetAsync(File, _bytes, cancellationToken)));
        return samples.Min(sample => sample.Rate) * 1e9;
    }

    public ValueTask DisposeAsync() => _nginx.DisposeAsync();
}
