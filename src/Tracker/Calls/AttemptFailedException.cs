namespace P2PWeights.Tracker.Calls;

/// <summary>One try at one tracker failed. Never leaves the client.</summary>
/// <param name="mayRetry">Whether another try is safe and could help.</param>
internal sealed class AttemptFailedException(Uri tracker, string reason, bool mayRetry, Exception? inner = null) : Exception(reason, inner)
{
    public Uri Tracker { get; } = tracker;

    public bool MayRetry { get; } = mayRetry;
}
