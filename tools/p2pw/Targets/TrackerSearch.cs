using Microsoft.Extensions.Logging.Abstractions;
using P2PWeights.Client;
using P2PWeights.Tracker.Discovery;

namespace P2PWeights.Cli.Targets;

/// <summary>A look at the networks of this machine for trackers that advertise themselves.</summary>
/// <param name="Trackers">Those found, the one to try first at the start.</param>
/// <param name="Rejected">Those that are not used, with the reasons.</param>
internal sealed record TrackerSearch(IReadOnlyList<DiscoveredTracker> Trackers, IReadOnlyList<RejectedTracker> Rejected)
{
    /// <summary>Three queries go out in this time; who does not answer them is not there.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(4);

    /// <summary>Looks until a tracker of the cluster is found, or long enough.</summary>
    public static async Task<TrackerSearch> RunAsync(DiscoveryOptions options, string? clusterKey, CancellationToken cancellationToken)
    {
        await using var discovery = new TrackerDiscovery(options, clusterKey, TimeProvider.System, NullLogger.Instance);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            await discovery.FirstAsync(patience.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // Nobody there.
        }

        return new TrackerSearch(discovery.Trackers, discovery.Rejected);
    }

    /// <summary>The addresses of those found.</summary>
    /// <exception cref="NodeException">There are none; the message says whom else there is.</exception>
    public IReadOnlyList<Uri> Demand(DiscoveryOptions options) => Trackers.Count > 0
        ? [.. Trackers.Select(tracker => tracker.Address)]
        : throw new NodeException(NodeError.Deadline, Nobody(options));

    /// <summary>What to tell when there is no tracker.</summary>
    public string Nobody(DiscoveryOptions options)
    {
        var others = string.Concat(Rejected.Select(one => $"\nNot used: {one.Instance}, because {one.Reason}."));
        return $"no tracker of the cluster '{options.Cluster}' was found on the network. Start one with p2pw tracker --advertise, or name it with --tracker URL.{others}";
    }
}
