using P2PWeights.Client;

namespace P2PWeights.Bench.Swarm;

/// <summary>
/// Something that goes wrong in a swarm: which consumers are not like the others, what is made ready, and what happens while the pulls run. The moments are told by how far the nodes
/// are, never by a clock.
/// </summary>
internal sealed record SwarmFault(string Name, string Description)
{
    private const double SlowPart = 0.25;

    private static readonly SwarmFault[] Faults =
    [
        new("slow-nodes", "a tenth of the nodes send and receive at a quarter of the rate") { Slow = consumers => Math.Max(1, consumers / 10) },
        new("killed-nodes", "a sixth of the nodes (5 of 32) are killed when half of the checkpoint is there") { HarmAsync = KillNodesAsync },
        new("publisher-killed", "the publisher is killed when it has sent one copy and every shard has reached somebody") { HarmAsync = KillPublisherAsync },
        new("tracker-restarted", "the tracker is killed when a quarter is there, and started again when half is") { HarmAsync = RestartTrackerAsync },
        new("late-nodes", "a quarter of the nodes (8 of 32) begin when the others are half through") { Late = consumers => Math.Max(1, (consumers + 1) / 4), HarmAsync = JoinLateAsync },
        new("poisoner", "a node that says it holds everything sends wrong bytes") { Poisoners = 1, PrepareAsync = PoisonAsync },
    ];

    public static IReadOnlyList<SwarmFault> All => Faults;

    /// <summary>How many of so many consumers, from the last one back, are slow.</summary>
    public Func<int, int> Slow { get; private init; } = _ => 0;

    /// <summary>How many of so many consumers, from the last one back, begin late.</summary>
    public Func<int, int> Late { get; private init; } = _ => 0;

    /// <summary>How many nodes beside the publisher hold the checkpoint, pull nothing and lie. They are the last consumers.</summary>
    public int Poisoners { get; private init; }

    private Func<SwarmRun, CancellationToken, Task> PrepareAsync { get; init; } = (_, _) => Task.CompletedTask;

    private Func<SwarmRun, CancellationToken, Task> HarmAsync { get; init; } = (_, _) => Task.CompletedTask;

    public static SwarmFault Named(string name) => Array.Find(Faults, fault => fault.Name == name) ?? throw new ArgumentException($"no fault is called {name}", nameof(name));

    /// <summary>The caps of each consumer.</summary>
    public IReadOnlyList<long> RatesOf(SwarmShape shape)
    {
        var consumers = shape.Nodes - 1 + Poisoners;
        return [.. Enumerable.Range(0, consumers).Select(i => i < consumers - Slow(consumers) ? shape.Rate : (long)(shape.Rate * SlowPart))];
    }

    /// <summary>Has the checkpoint pulled by all while this happens, and waits for the end of it.</summary>
    public async Task<SwarmResult> RunAsync(SwarmCluster cluster, PublishReport published, CancellationToken cancellationToken)
    {
        var run = await SwarmRun.BeginAsync(cluster, published, cancellationToken);
        await PrepareAsync(run, cancellationToken);
        run.Start(cluster.Consumers.SkipLast(Math.Max(Poisoners, Late(cluster.Consumers.Count))));
        await HarmAsync(run, cancellationToken);
        return await run.FinishAsync();
    }

    /// <summary>Those that were like the others: neither slow nor late.</summary>
    public IEnumerable<SwarmFinish> Ordinary(SwarmCluster cluster, SwarmResult result)
    {
        var odd = cluster.Consumers.TakeLast(Math.Max(Slow(cluster.Consumers.Count), Late(cluster.Consumers.Count))).ToHashSet();
        return result.Done.Where(finish => !odd.Contains(finish.Node));
    }

    private static async Task KillNodesAsync(SwarmRun run, CancellationToken cancellationToken)
    {
        var victims = run.Cluster.Consumers.TakeLast(Math.Max(1, run.Cluster.Consumers.Count / 6)).ToList();
        await run.UntilAsync(victims[0], 0.5);
        victims.ForEach(node => node.Kill());
    }

    private static async Task KillPublisherAsync(SwarmRun run, CancellationToken cancellationToken)
    {
        await run.UntilSentAsync(1);
        using var census = new SwarmCensus(run.Cluster.Tracker);
        await run.UntilAsync(() => census.IsNothingScarceAsync(run.Published, cancellationToken));
        await run.LookAtPublisherAsync();
        run.Cluster.Publisher.Kill();
    }

    private static async Task RestartTrackerAsync(SwarmRun run, CancellationToken cancellationToken)
    {
        await run.UntilAsync(run.Cluster.Consumers[0], 0.25);
        await run.Cluster.KillTrackerAsync();
        await run.UntilAsync(run.Cluster.Consumers[0], 0.5);
        await run.Cluster.StartTrackerAsync(cancellationToken);
    }

    private static async Task JoinLateAsync(SwarmRun run, CancellationToken cancellationToken)
    {
        await run.UntilAsync(run.Cluster.Consumers[0], 0.5);
        run.Start(run.Cluster.Consumers.TakeLast(Math.Max(1, (run.Cluster.Consumers.Count + 1) / 4)));
    }

    /// <summary>
    /// The node publishes the same content from files of its own, so that it holds everything in good faith, and then its bytes rot where no guard sees it: same file, same size, same time.
    /// </summary>
    private static async Task PoisonAsync(SwarmRun run, CancellationToken cancellationToken)
    {
        var (cluster, poisoner) = (run.Cluster, run.Cluster.Consumers[^1]);
        var folder = cluster.FilesOf(poisoner, run.Checkpoint);
        Directory.CreateDirectory(folder);
        foreach (var file in Directory.GetFiles(cluster.FilesOf(cluster.Publisher, run.Checkpoint)))
        {
            var copy = Path.Combine(folder, Path.GetFileName(file));
            File.Copy(file, copy);

            // A time that can be set again to the nanosecond: .NET counts in hundreds of them.
            File.SetLastWriteTimeUtc(copy, File.GetLastWriteTimeUtc(file));
        }

        await cluster.PublishFolderAsync(poisoner, folder, run.Checkpoint, cancellationToken);
        foreach (var file in Directory.GetFiles(folder))
        {
            var time = File.GetLastWriteTimeUtc(file);
            using (var stream = File.OpenWrite(file))
            {
                for (var at = 0L; at < stream.Length; at += cluster.Shape.ShardBytes)
                {
                    stream.Position = at;
                    stream.Write("rotten"u8);
                }
            }

            File.SetLastWriteTimeUtc(file, time);
        }
    }
}
