using System.Collections.Concurrent;
using System.Diagnostics;
using P2PWeights.Bench.Measuring;
using P2PWeights.Client;

namespace P2PWeights.Bench.Swarm;

/// <summary>One checkpoint going through a <see cref="SwarmCluster"/>: pulls that begin when they are told to, and what the machine and the publisher did meanwhile.</summary>
internal sealed class SwarmRun
{
    private static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(100);

    private readonly ConcurrentBag<Task<SwarmFinish>> _pulls = [];
    private readonly MachineClock _machine = MachineClock.Now();
    private readonly CancellationToken _cancellationToken;
    private long _servedBefore;
    private long _servedLast;

    private SwarmRun(SwarmCluster cluster, PublishReport published, CancellationToken cancellationToken) =>
        (Cluster, Published, _cancellationToken) = (cluster, published, cancellationToken);

    public SwarmCluster Cluster { get; }

    /// <summary>What is pulled.</summary>
    public PublishReport Published { get; }

    /// <summary>Its name.</summary>
    public string Checkpoint => Published.Checkpoint;

    /// <summary>Copies of the checkpoint that the publisher has sent, as of the last look.</summary>
    public double PublisherCopies => (double)(_servedLast - _servedBefore) / Cluster.Shape.Bytes;

    /// <summary>Gets ready; nothing is pulled yet.</summary>
    public static async Task<SwarmRun> BeginAsync(SwarmCluster cluster, PublishReport published, CancellationToken cancellationToken)
    {
        var run = new SwarmRun(cluster, published, cancellationToken);
        await run.LookAtPublisherAsync();
        run._servedBefore = run._servedLast;
        return run;
    }

    /// <summary>Has these nodes pull from now on.</summary>
    public void Start(IEnumerable<SwarmNode> nodes)
    {
        var started = Stopwatch.GetTimestamp();
        foreach (var node in nodes)
        {
            _pulls.Add(PullAsync(node, started));
        }
    }

    /// <summary>Brings <see cref="PublisherCopies"/> up to date.</summary>
    public async Task LookAtPublisherAsync() => _servedLast = (await Cluster.Publisher.Node.Client.StatusAsync(_cancellationToken)).ServedBytes;

    /// <summary>Waits until the publisher has sent so many copies.</summary>
    /// <exception cref="BenchException">Every pull ended before.</exception>
    public Task UntilSentAsync(double copies) => UntilAsync(async () =>
    {
        await LookAtPublisherAsync();
        return PublisherCopies >= copies;
    });

    /// <summary>Waits until this node's pull has so much of the checkpoint.</summary>
    /// <param name="part">0 to 1.</param>
    public Task UntilAsync(SwarmNode node, double part) => UntilAsync(async () =>
        (await node.Node.Client.StatusAsync(_cancellationToken)).Pulls.Any(pull => pull.Checkpoint == Checkpoint && pull.Progress.BytesDone >= part * Cluster.Shape.Bytes));

    /// <summary>Waits until a condition holds.</summary>
    /// <exception cref="BenchException">Every pull ended before: what was to happen meanwhile would happen to nobody.</exception>
    public async Task UntilAsync(Func<Task<bool>> condition)
    {
        while (!await condition())
        {
            if (_pulls.All(pull => pull.IsCompleted))
            {
                throw new BenchException("every pull ended before the moment at which something was to go wrong: take more shards or a lower rate");
            }

            await Task.Delay(LookInterval, _cancellationToken);
        }
    }

    /// <summary>Waits for every pull that was started.</summary>
    public async Task<SwarmResult> FinishAsync()
    {
        var finishes = await Task.WhenAll(_pulls);
        var busy = MachineClock.BusySince(_machine);
        if (!Cluster.Publisher.IsDead)
        {
            await LookAtPublisherAsync();
        }

        return new SwarmResult(Cluster.Shape, [.. finishes.OrderBy(finish => finish.Node.Name, StringComparer.Ordinal)], PublisherCopies, busy);
    }

    private async Task<SwarmFinish> PullAsync(SwarmNode node, long started)
    {
        try
        {
            var report = await node.Node.Client.PullAsync(new CheckpointPullRequest(Checkpoint, Folder: null), progress: null, _cancellationToken);
            return new SwarmFinish(node, Stopwatch.GetElapsedTime(started).TotalSeconds, report.Transfer, Failure: null);
        }
        catch (NodeException failure)
        {
            return new SwarmFinish(node, Stopwatch.GetElapsedTime(started).TotalSeconds, Report: null, failure.Message);
        }
    }
}
