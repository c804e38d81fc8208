namespace P2PWeights.Tracker.Discovery.Advertising;

/// <summary>What a message of somebody else means for our names.</summary>
internal enum Contention
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>A name that we probe for is theirs: take another.</summary>
    Taken,

    /// <summary>They contradict a record that was ours: find out whose the name is.</summary>
    Disputed,
}
