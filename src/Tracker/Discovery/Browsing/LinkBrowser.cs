using System.Net;
using P2PWeights.Tracker.Discovery.Advertising;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Discovery.Browsing;

/// <summary>
/// Looks for trackers on one link: asks less and less often, keeps what it hears while it lasts, and asks for what is missing of an instance (RFC 6762 section 5.2, RFC 6763 section 4).
/// Where there is no room for a record, an instance that nobody has resolved goes: invented names keep no tracker out.
/// Pure: messages and times in, questions and services out. Only records that belong to instances of the service are kept.
/// </summary>
internal sealed class LinkBrowser
{
    /// <summary>Instances of one link, and records of each name and type of them, that are kept. More is not a network but an attack.</summary>
    public const int MaxInstances = 128;
    public const int MaxPerName = 16;

    private const int QuestionsPerMessage = 24;
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromMinutes(60);
    private static readonly TimeSpan LongestMissingPause = TimeSpan.FromMinutes(1);

    private readonly RecordCache _cache;
    private readonly Dictionary<DnsQuestion, Repetition> _missing = [];
    private Repetition _browse;
    private bool _mayMiss;

    public LinkBrowser(Link link, TimeSpan now, Random random)
    {
        (Link, _cache) = (link, new RecordCache(random));
        _browse = new Repetition(now + TimeSpan.FromMilliseconds(random.Next(20, 121)), FirstPause);
    }

    public Link Link { get; set; }

    /// <summary>Something came or went since the last look at <see cref="Services"/>.</summary>
    public bool IsChanged { get; private set; }

    public TimeSpan NextDue => _mayMiss ? TimeSpan.Zero : _missing.Values.Select(missing => missing.Due).Append(_browse.Due).Append(_cache.NextDue).Min();

    /// <summary>Records that were left out because there was no room for them, and instances that went because others came.</summary>
    public int Refused { get; private set; }

    /// <summary>Takes in what a response says of the service.</summary>
    public void Receive(DnsMessage response, TimeSpan now)
    {
        List<DnsRecord> records = [.. response.Answers, .. response.Additionals];
        var unresolved = new Lazy<Queue<DnsName>>(() => UnresolvedBut(records));

        // In this order each record finds the one that names it.
        foreach (var pointer in records.Where(record => record.Type == RecordType.Pointer && record.Name.Equals(ServiceNames.Service) && record.Target.Parent.Equals(ServiceNames.Service)))
        {
            Take(pointer with { IsUnique = false }, MaxInstances, unresolved, now);
        }

        var instances = Instances().ToHashSet();
        foreach (var record in records.Where(record => record.Type is RecordType.Service or RecordType.Text && instances.Contains(record.Name)))
        {
            Take(record, MaxPerName, unresolved, now);
        }

        var hosts = instances.SelectMany(Hosts).ToHashSet();
        foreach (var record in records.Where(record => record.Type is RecordType.A or RecordType.Aaaa && hosts.Contains(record.Name)))
        {
            Take(record, MaxPerName, unresolved, now);
        }
    }

    /// <summary>The questions to be asked now.</summary>
    public IReadOnlyList<Outgoing> Poll(TimeSpan now)
    {
        IsChanged |= _cache.Expire(now);
        _mayMiss = false;
        HashSet<DnsQuestion> questions = [.. _cache.Refresh(now), .. Missing(now)];
        var browse = new DnsQuestion(ServiceNames.Service, RecordType.Pointer);
        if (_browse.Due <= now)
        {
            questions.Add(browse);
            _browse = _browse.Next(now, LongestPause);
        }

        return [.. questions.Chunk(QuestionsPerMessage).Select(some => new Outgoing(Link, OutgoingKind.Query, new DnsMessage
        {
            Questions = some,
            Answers = some.Contains(browse) ? [.. _cache.Known(browse.Name, browse.Type, now)] : [],
        }))];
    }

    /// <summary>The instances of which everything is known.</summary>
    public IEnumerable<FoundService> Services()
    {
        IsChanged = false;
        foreach (var instance in Instances())
        {
            // Of several SRV or TXT records, the newest one counts: the others are on their way out.
            if (_cache.Find(instance, RecordType.Service).LastOrDefault() is { } service && _cache.Find(instance, RecordType.Text).LastOrDefault() is { } text)
            {
                List<IPAddress> addresses = [.. _cache.Find(service.Host, RecordType.A).Concat(_cache.Find(service.Host, RecordType.Aaaa)).Select(record => Scoped(record.IPAddress))];
                if (addresses.Count > 0)
                {
                    yield return new FoundService(instance.First, service.Port, text.Pairs(), addresses);
                }
            }
        }
    }

    /// <param name="unresolved">Instances that may go for the record, the one that was heard of first in front.</param>
    private void Take(DnsRecord record, int most, Lazy<Queue<DnsName>> unresolved, TimeSpan now)
    {
        var outcome = _cache.Take(record, most, now);
        if (outcome == TakeOutcome.Refused && (record.Type == RecordType.Pointer || _cache.IsFull) && unresolved.Value.TryDequeue(out var instance))
        {
            Drop(instance);
            outcome = _cache.Take(record, most, now);
        }

        Refused += outcome == TakeOutcome.Refused ? 1 : 0;
        _mayMiss |= outcome == TakeOutcome.New;
        IsChanged |= outcome == TakeOutcome.New;
    }

    /// <summary>The instances that are not resolved, but for those of which these records say something.</summary>
    private Queue<DnsName> UnresolvedBut(List<DnsRecord> records)
    {
        var names = records.Select(record => record.Type == RecordType.Pointer ? record.Target : record.Name).ToHashSet();
        return new(Instances().Where(instance => !IsResolved(instance) && !names.Contains(instance) && !Hosts(instance).Any(names.Contains)));
    }

    private bool IsResolved(DnsName instance) => _cache.Has(instance, RecordType.Text) && Hosts(instance).Any(HasAddress);

    private bool HasAddress(DnsName host) => _cache.Has(host, RecordType.A) || _cache.Has(host, RecordType.Aaaa);

    /// <summary>Forgets an instance, with what is known of it and of no other.</summary>
    private void Drop(DnsName instance)
    {
        Refused++;
        List<DnsName> hosts = [.. Hosts(instance)];
        _cache.Remove(ServiceNames.Service, RecordType.Pointer, pointer => pointer.Target.Equals(instance));
        _cache.Remove(instance, RecordType.Service, _ => true);
        _cache.Remove(instance, RecordType.Text, _ => true);
        foreach (var host in hosts.Where(host => !Instances().SelectMany(Hosts).Contains(host)))
        {
            _cache.Remove(host, RecordType.A, _ => true);
            _cache.Remove(host, RecordType.Aaaa, _ => true);
        }
    }

    private IEnumerable<DnsName> Instances() => _cache.Find(ServiceNames.Service, RecordType.Pointer).Select(pointer => pointer.Target);

    private IEnumerable<DnsName> Hosts(DnsName instance) => _cache.Find(instance, RecordType.Service).Select(service => service.Host);

    /// <summary>What is missing of instances and was not asked for lately.</summary>
    private List<DnsQuestion> Missing(TimeSpan now)
    {
        HashSet<DnsQuestion> missing = [];
        foreach (var instance in Instances())
        {
            if (!_cache.Has(instance, RecordType.Service))
            {
                missing.Add(new(instance, RecordType.Service));
            }

            if (!_cache.Has(instance, RecordType.Text))
            {
                missing.Add(new(instance, RecordType.Text));
            }

            foreach (var host in Hosts(instance).Where(host => !HasAddress(host)))
            {
                missing.Add(new(host, RecordType.A));
                missing.Add(new(host, RecordType.Aaaa));
            }
        }

        foreach (var found in _missing.Keys.Where(question => !missing.Contains(question)).ToList())
        {
            _missing.Remove(found);
        }

        List<DnsQuestion> due = [];
        foreach (var question in missing)
        {
            var repetition = _missing.GetValueOrDefault(question, new Repetition(now, FirstPause));
            if (repetition.Due <= now)
            {
                due.Add(question);
                _missing[question] = repetition.Next(now, LongestMissingPause);
            }
        }

        return due;
    }

    private IPAddress Scoped(IPAddress address) => address.IsIPv6LinkLocal ? new IPAddress(address.GetAddressBytes(), Link.Id.Interface) : address;

    /// <summary>A question that is asked again after pauses that double.</summary>
    private readonly record struct Repetition(TimeSpan Due, TimeSpan Pause)
    {
        public Repetition Next(TimeSpan now, TimeSpan longest) => new(now + Pause, Pause * 2 < longest ? Pause * 2 : longest);
    }
}
