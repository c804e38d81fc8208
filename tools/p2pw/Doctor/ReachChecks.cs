using P2PWeights.Cli.Output;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;
using P2PWeights.Tracker;
using P2PWeights.Tracker.Discovery;

namespace P2PWeights.Cli.Doctor;

/// <summary>Checks of what a command on this machine can reach: the node's socket, the trackers, and the trackers' clock.</summary>
internal static class ReachChecks
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Beyond this, times in logs and <c>ls</c> confuse; HTTP's Date header has whole seconds.</summary>
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromSeconds(3);

    /// <param name="demanded">Whether the user named the socket, so that silence is a failure.</param>
    public static async Task<Finding> NodeAsync(string socket, bool demanded, CancellationToken cancellationToken)
    {
        if (!File.Exists(socket))
            return new("node", demanded ? Outcome.Failure : Outcome.Note, $"none at {socket}: start one with p2pw node --socket {socket}");
        try
        {
            using var node = new NodeClient(socket);
            var status = await node.StatusAsync(cancellationToken);
            var (outcome, tracker) = status.TrackerReachable ? (Outcome.Ok, "answers") : (Outcome.Warning, "does not answer");
            return new("node", outcome, $"{status.Name} at {socket}, up {Format.Time(status.Uptime)}, its tracker {status.Tracker} {tracker}");
        }
        catch (NodeException exception)
        {
            return new("node", Outcome.Failure, exception.Message);
        }
    }

    /// <param name="demanded">Whether the user named the trackers, so that silence is a failure.</param>
    public static async Task<Finding> TrackerAsync(Target target, bool demanded, CancellationToken cancellationToken)
    {
        var names = string.Join(", ", target.Trackers);
        try
        {
            using var tracker = target.OpenTracker();
            var status = await tracker.StatusAsync(cancellationToken);
            return new("tracker", Outcome.Ok, $"{names} answers: {Format.Count(status.Checkpoints, "checkpoint")}, {Format.Count(status.Peers, "peer")}, up {Format.Time(status.Uptime)}");
        }
        catch (TrackerException exception) when (exception.Error == TrackerError.Unreachable)
        {
            return new("tracker", demanded ? Outcome.Failure : Outcome.Warning, $"{names} does not answer: start one with p2pw tracker, or name it with --tracker URL");
        }
        catch (TrackerException exception)
        {
            return new("tracker", Outcome.Failure, exception.Message);
        }
    }

    /// <summary>Looks for trackers as a node with <c>--discover</c> does.</summary>
    /// <param name="demanded">Whether the user asked for it on the command line, so that silence is a failure.</param>
    /// <returns>What was found, and the addresses.</returns>
    public static async Task<(Finding Finding, IReadOnlyList<Uri> Trackers)> DiscoveryAsync(
        DiscoveryOptions options, string? clusterKey, bool demanded, CancellationToken cancellationToken)
    {
        const string Check = "discovery";
        var silence = demanded ? Outcome.Failure : Outcome.Warning;
        try
        {
            var search = await TrackerSearch.RunAsync(options, clusterKey, cancellationToken);
            var names = string.Join(", ", search.Trackers.Select(tracker => $"{tracker.Instance} at {tracker.Address}"));
            return (
                search.Trackers.Count > 0
                    ? new(Check, Outcome.Ok, $"cluster '{options.Cluster}': {names}")
                    : new(Check, silence, search.Nobody(options).ReplaceLineEndings(" ")),
                [.. search.Trackers.Select(tracker => tracker.Address)]);
        }
        catch (TrackerException exception)
        {
            return (new(Check, silence, exception.Message), []);
        }
    }

    /// <summary>Compares this clock with the tracker's, as its answers are dated.</summary>
    public static async Task<Finding> ClockAsync(Uri tracker, TimeProvider time, CancellationToken cancellationToken)
    {
        using var http = new HttpClient { Timeout = Patience };
        try
        {
            using var answer = await http.GetAsync(tracker, cancellationToken);
            if (answer.Headers.Date is not { } theirs)
                return new("clock", Outcome.Note, Format.Invariant($"{time.GetUtcNow():yyyy-MM-dd HH:mm:ss'Z'}; the tracker does not date its answers"));
            var apart = (time.GetUtcNow() - theirs).Duration();
            return apart <= ClockTolerance
                ? new("clock", Outcome.Ok, Format.Invariant($"{time.GetUtcNow():yyyy-MM-dd HH:mm:ss'Z'}, the same as the tracker's"))
                : new("clock", Outcome.Warning, $"{Format.Time(apart)} apart from the tracker's: synchronise both (chrony, systemd-timesyncd)");
        }
        catch (Exception exception) when (exception is HttpRequestException or TaskCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return new("clock", Outcome.Note, Format.Invariant($"{time.GetUtcNow():yyyy-MM-dd HH:mm:ss'Z'}; no tracker to compare with"));
        }
    }
}
