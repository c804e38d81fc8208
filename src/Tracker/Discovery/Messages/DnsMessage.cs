namespace P2PWeights.Tracker.Discovery.Messages;

/// <summary>One DNS message as multicast DNS uses it: operation code and response code are 0, the class is Internet.</summary>
internal sealed record DnsMessage
{
    /// <summary>Zero in all but the answers to those who do not speak multicast DNS (RFC 6762 sections 6.7, 18.1).</summary>
    public ushort Id { get; init; }

    public bool IsResponse { get; init; }

    /// <summary>In a query: more known answers follow in the next message.</summary>
    public bool IsTruncated { get; init; }

    public IReadOnlyList<DnsQuestion> Questions { get; init; } = [];

    /// <summary>In a query: the answers that the asker knows already.</summary>
    public IReadOnlyList<DnsRecord> Answers { get; init; } = [];

    /// <summary>In a probe: the records that the asker wants to have.</summary>
    public IReadOnlyList<DnsRecord> Authorities { get; init; } = [];

    /// <summary>Records that the asker is likely to want next.</summary>
    public IReadOnlyList<DnsRecord> Additionals { get; init; } = [];
}
