using System.Diagnostics;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;

namespace P2PWeights.Bench.Pulling;

/// <summary>A node that pulls what the source of a <see cref="PullCluster"/> published, one checkpoint after the other, round and round.</summary>
internal sealed class PullConsumer
{
    private readonly NodeClient _client;
    private readonly string _path;
    private readonly int _contents;
    private readonly Func<double> _sourceCpu;
    private readonly Func<double> _ownCpu;
    private int _pulls;

    /// <param name="client">The node's local API; stays the caller's.</param>
    /// <param name="path">The only path by which bytes may come.</param>
    /// <param name="contents">Checkpoints that there are.</param>
    /// <param name="sourceCpu">CPU seconds that the source has used.</param>
    /// <param name="ownCpu">CPU seconds that this node has used.</param>
    public PullConsumer(NodeClient client, string path, int contents, Func<double> sourceCpu, Func<double> ownCpu) =>
        (_client, _path, _contents, _sourceCpu, _ownCpu) = (client, path, contents, sourceCpu, ownCpu);

    /// <summary>Pulls the next checkpoint as a user of the node does; the time is that from the call to its answer.</summary>
    /// <param name="folder">Where to; null for the node's tiers.</param>
    /// <param name="mayWaste">Whether shards may be asked for twice, as those of a slow source are.</param>
    /// <exception cref="BenchException">Some of it was there already, or came by another path.</exception>
    public async Task<Sample> PullAsync(string? folder, CancellationToken cancellationToken, bool mayWaste = false)
    {
        var (sourceCpu, ownCpu) = (_sourceCpu(), _ownCpu());
        var started = Stopwatch.GetTimestamp();
        var request = new CheckpointPullRequest(PullCluster.NameOf(_pulls++ % _contents), folder);
        var report = (await _client.PullAsync(request, progress: null, cancellationToken)).Transfer;
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        (sourceCpu, ownCpu) = (_sourceCpu() - sourceCpu, _ownCpu() - ownCpu);
        if (report.BytesFetched != report.BytesTotal || (report.BytesWasted != 0 && !mayWaste))
        {
            throw new BenchException(
                $"a pull of {report.BytesTotal} bytes fetched {report.BytesFetched}, found {report.BytesReused} and wasted {report.BytesWasted}: that is not what is to be measured");
        }

        var others = report.Paths().Where(path => path.Bytes > 0 && path.Path != _path).ToList();
        return others.Count == 0
            ? Sample.Of(report.BytesTotal, seconds, sourceCpu, ownCpu)
            : throw new BenchException(
                $"a pull by {_path} had {string.Join(" and ", others.Select(path => $"{path.Bytes} bytes by {path.Path}"))}: that is not what is to be measured; `p2pw why` tells the reason");
    }
}
