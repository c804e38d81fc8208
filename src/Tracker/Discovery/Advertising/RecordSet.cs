using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Discovery.Advertising;

/// <summary>The records of an instance on one link, and what they say to questions and to the records of others. Immutable.</summary>
/// <param name="Pointer">Under the service's name, which everybody shares, it leads to the instance.</param>
/// <param name="Listing">Lists the service. The same for all trackers, so none of them ends it.</param>
/// <param name="Unique">What nobody else may have: SRV, TXT and addresses.</param>
internal sealed record RecordSet(DnsRecord Pointer, DnsRecord Listing, IReadOnlyList<DnsRecord> Unique)
{
    /// <summary>Lifetime of records that name a host, and of all others (RFC 6762 section 10).</summary>
    public const uint HostTtlSeconds = 120;
    public const uint OtherTtlSeconds = 4500;

    /// <summary>Everything, as it is announced.</summary>
    public IEnumerable<DnsRecord> All => [Pointer, Listing, .. Unique];

    /// <summary>The names that must be nobody else's.</summary>
    public IEnumerable<DnsName> Names => Unique.Select(record => record.Name).Distinct();

    public bool Owns(DnsName name) => Unique.Any(record => record.Name.Equals(name));

    /// <summary>The answers to a question. A type that an own name does not have is answered by saying so (RFC 6762 section 6.1).</summary>
    public IReadOnlyList<DnsRecord> Answer(DnsQuestion question)
    {
        IReadOnlyList<DnsRecord> answers = [.. All.Where(question.Matches)];
        return answers.Count > 0 || !Owns(question.Name) ? answers : [OnlyTypes(question.Name)];
    }

    /// <summary>What those who get some answers will ask next (RFC 6763 section 12).</summary>
    public IEnumerable<DnsRecord> Additional(IReadOnlyCollection<DnsRecord> answers) =>
        answers.Any(answer => answer == Pointer) || answers.Any(answer => answer.Type == RecordType.Service)
            ? Unique.Where(record => !answers.Contains(record) && (answers.Contains(Pointer) || record.Type is RecordType.A or RecordType.Aaaa))
            : [];

    /// <summary>Whether somebody else's record says that one of the names is theirs, while it is not settled whose it is.</summary>
    public bool IsClaimedBy(DnsRecord other) => other.Type != RecordType.Nsec && Owns(other.Name) && !Unique.Any(other.IsSame);

    /// <summary>Whether somebody else's record contradicts one of ours (RFC 6762 section 9).</summary>
    public bool IsContradictedBy(DnsRecord other) => Unique.Any(other.IsSameSet) && !Unique.Any(other.IsSame);

    /// <summary>
    /// Who wins of two that probe for a name at the same time: negative when the other does (RFC 6762 section 8.2). Records in order of type, then data, are compared one by
    /// one; where one list ends first, the longer wins.
    /// </summary>
    public int Compare(DnsName name, IEnumerable<DnsRecord> theirs)
    {
        var left = InOrder(Unique, name);
        var right = InOrder(theirs, name);
        for (var i = 0; i < Math.Min(left.Count, right.Count); i++)
        {
            var order = Order(left[i], right[i]);
            if (order != 0)
            {
                return order;
            }
        }

        return left.Count - right.Count;
    }

    private DnsRecord OnlyTypes(DnsName name) => DnsRecord.OnlyTypes(name, Unique.Where(record => record.Name.Equals(name)).Select(record => record.Type), HostTtlSeconds);

    private static List<DnsRecord> InOrder(IEnumerable<DnsRecord> records, DnsName name)
    {
        List<DnsRecord> list = [.. records.Where(record => record.Name.Equals(name))];
        list.Sort(Order);
        return list;
    }

    private static int Order(DnsRecord left, DnsRecord right) =>
        left.Type != right.Type ? left.Type.CompareTo(right.Type) : left.Data.AsSpan().SequenceCompareTo(right.Data);
}
