namespace P2PWeights.Tracker.Discovery.Messages;

/// <summary>A question about the Internet class.</summary>
/// <param name="WantsUnicast">The asker takes the answer by unicast too (QU; RFC 6762 section 5.4).</param>
internal sealed record DnsQuestion(DnsName Name, RecordType Type, bool WantsUnicast = false)
{
    /// <summary>Whether a record answers it.</summary>
    public bool Matches(DnsRecord record) => (Type == record.Type || Type == RecordType.Any) && Name.Equals(record.Name);
}
