namespace P2PWeights.Tracker.Calls;

/// <summary>One try at one tracker failed. Never leaves the client.</summary>
/// <param name="tracker">Which; null when none is known.</param>
/// <param name="mayRetry">Whether another try is safe and could help.</param>
/// <param name="answered">Whether the tracker answered, if only with a failure of its own.</param>
internal sealed class AttemptFailedException(Uri? tracker, string reason, bool mayRetry, bool answered, Exception? inner = null) : Exception(reason, inner)
{
    public Uri? Tracker { get; } = tracker;

    public bool MayRetry { get; } = mayRetry;

    public bool Answered { get; } = answered;
}
