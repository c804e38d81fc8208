namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>What became of a packet.</summary>
internal enum ReceivedOutcome
{
    /// <summary>It was read and looked at.</summary>
    Taken,

    /// <summary>It is no DNS message, or none of multicast DNS.</summary>
    Malformed,

    /// <summary>It is longer than multicast DNS allows (RFC 6762 section 17).</summary>
    Oversized,

    /// <summary>It did not come from the link, or is a response from a port that responders do not use (RFC 6762 sections 6, 11).</summary>
    OffLink,

    /// <summary>It is what this process just sent, heard by itself.</summary>
    Own,

    /// <summary>More came at once than is looked at.</summary>
    Flood,
}
