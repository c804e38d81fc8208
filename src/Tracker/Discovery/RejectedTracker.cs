namespace P2PWeights.Tracker.Discovery;

/// <summary>Something that calls itself a tracker and is not used.</summary>
/// <param name="Instance">Its name for people.</param>
/// <param name="Reason">Why not.</param>
public sealed record RejectedTracker(string Instance, string Reason);
