namespace P2PWeights.Tracker.Discovery.Browsing;

/// <summary>What became of a record that was heard.</summary>
internal enum TakeOutcome
{
    /// <summary>Nothing is new: it was known, or it ends soon what was.</summary>
    Known,

    /// <summary>It was not known.</summary>
    New,

    /// <summary>There is no room for it.</summary>
    Refused,
}
