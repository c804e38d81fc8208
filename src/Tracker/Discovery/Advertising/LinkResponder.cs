using System.Net;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Discovery.Advertising;

/// <summary>
/// One instance on one link: probes for its names, announces its records, answers questions and defends what it has (RFC 6762 sections 6 to 9). Pure: messages and times in,
/// messages out.
/// </summary>
internal sealed class LinkResponder
{
    private const int Probes = 3;
    private const int Announcements = 3;
    private const uint LegacyTtlSeconds = 10;
    private static readonly TimeSpan BetweenProbes = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan AfterLostRace = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);

    private readonly Random _random;
    private readonly PendingAnswers _pending = new();
    private readonly List<Outgoing> _ready = [];
    private int _probesLeft;
    private int _announcementsLeft;
    private TimeSpan _next;

    /// <param name="from">When to begin; a random time is added that keeps responders from starting together.</param>
    public LinkResponder(Link link, RecordSet records, TimeSpan from, Random random)
    {
        (Link, Records, _random) = (link, records, random);
        Probe(from);
    }

    public Link Link { get; private set; }

    public RecordSet Records { get; private set; }

    /// <summary>Nobody objected to the names, and others have heard of the records.</summary>
    public bool IsAnnounced { get; private set; }

    public TimeSpan NextDue => _ready.Count > 0 ? TimeSpan.Zero : _next < _pending.NextDue ? _next : _pending.NextDue;

    /// <summary>Starts all over: the names are to be probed for again.</summary>
    public void Probe(TimeSpan from)
    {
        (_probesLeft, _announcementsLeft, IsAnnounced) = (Probes, Announcements, false);
        _next = from + Within(0, 250);
        _pending.Clear();
    }

    /// <summary>The addresses changed and the names did not: what is new is announced (RFC 6762 section 8.4).</summary>
    public void Change(Link link, RecordSet records, TimeSpan now)
    {
        (Link, Records) = (link, records);
        if (IsAnnounced)
        {
            _pending.Clear();
            (_announcementsLeft, _next) = (Announcements, now);
        }
    }

    public Contention Receive(DnsMessage message, IPEndPoint source, TimeSpan now)
    {
        if (message.IsResponse)
        {
            return Hear([.. message.Answers, .. message.Additionals], now);
        }

        if (IsAnnounced)
        {
            Answer(message, source, now);
        }
        else if (_probesLeft < Probes && Records.Names.Any(name => message.Authorities.Any(record => record.Name.Equals(name)) && Records.Compare(name, message.Authorities) < 0))
        {
            // Both want the name at the same time. The smaller records wait, and will then see what the other announced.
            Probe(now + AfterLostRace);
        }

        return Contention.None;
    }

    public IReadOnlyList<Outgoing> Poll(TimeSpan now)
    {
        List<Outgoing> outgoing = [.. _ready];
        _ready.Clear();
        if (_next <= now)
        {
            outgoing.Add(_probesLeft > 0 ? NextProbe(now) : NextAnnouncement(now));
        }

        foreach (var (to, records) in _pending.TakeDue(now))
        {
            outgoing.Add(new Outgoing(Link, OutgoingKind.Answer, new DnsMessage { IsResponse = true, Answers = records, Additionals = [.. Records.Additional(records)] }, to));
            if (to is null)
            {
                _pending.NoteMulticast(records, now);
            }
        }

        return outgoing;
    }

    /// <summary>Says that the records end; null when nobody has heard of them.</summary>
    public Outgoing? Goodbye() => IsAnnounced
        ? new Outgoing(Link, OutgoingKind.Goodbye, new DnsMessage
        {
            IsResponse = true,
            Answers = [.. Records.All.Where(record => record != Records.Listing).Select(record => record with { TtlSeconds = 0 })],
        })
        : null;

    private Outgoing NextProbe(TimeSpan now)
    {
        _probesLeft--;
        _next = now + BetweenProbes;

        // Not asking for answers by unicast: those would go to one of all the programs here that share the port (section 15.1).
        return new Outgoing(Link, OutgoingKind.Probe, new DnsMessage
        {
            Questions = [.. Records.Names.Select(name => new DnsQuestion(name, RecordType.Any))],
            Authorities = [.. Records.Unique.Select(record => record with { IsUnique = false })],
        });
    }

    private Outgoing NextAnnouncement(TimeSpan now)
    {
        IsAnnounced = true;
        _next = --_announcementsLeft > 0 ? now + (FirstPause * (1 << (Announcements - 1 - _announcementsLeft))) : TimeSpan.MaxValue;
        _pending.NoteMulticast(Records.All, now);
        return new Outgoing(Link, OutgoingKind.Announcement, new DnsMessage { IsResponse = true, Answers = [.. Records.All] });
    }

    private Contention Hear(IReadOnlyList<DnsRecord> records, TimeSpan now)
    {
        if (!IsAnnounced)
        {
            // What came before the first probe may be stale, and says nothing (section 8.1).
            return _probesLeft < Probes && records.Any(record => record.TtlSeconds > 0 && Records.IsClaimedBy(record)) ? Contention.Taken : Contention.None;
        }

        foreach (var record in records)
        {
            _pending.Heard(record, now);
            if (Records.All.FirstOrDefault(record.IsSame) is { } own && own != Records.Listing && record.TtlSeconds < own.TtlSeconds / 2)
            {
                // Somebody lets others forget what still holds (section 6.6).
                _pending.Multicast(own, now + Within(20, 120), asker: null, isDefence: false);
            }
        }

        return records.Any(record => record.TtlSeconds > 0 && Records.IsContradictedBy(record)) ? Contention.Disputed : Contention.None;
    }

    private void Answer(DnsMessage query, IPEndPoint source, TimeSpan now)
    {
        if (query.Questions.Count == 0)
        {
            _pending.Forget(query.Answers, source.Address);
            return;
        }

        List<(DnsRecord Record, bool WantsUnicast)> answers = [];
        foreach (var question in query.Questions.Distinct())
        {
            answers.AddRange(Records.Answer(question)
                .Where(answer => !PendingAnswers.Suppresses(query.Answers, answer) && !answers.Any(other => other.Record.IsSame(answer)))
                .Select(answer => (answer, question.WantsUnicast)));
        }

        if (answers.Count == 0)
        {
            return;
        }

        if (source.Port != MulticastDns.Port)
        {
            AnswerLegacy(query, [.. answers.Select(answer => answer.Record)], source, now);
            return;
        }

        var isProbe = query.Authorities.Count > 0;
        var delay = query.IsTruncated ? Within(400, 500) : !isProbe && answers.Any(answer => !answer.Record.IsUnique) ? Within(20, 120) : TimeSpan.Zero;
        foreach (var (record, wantsUnicast) in answers)
        {
            // What others have not heard for long goes to all, so that their caches and their ideas of who is who stay right (section 5.4).
            var isFresh = _pending.LastMulticast(record) is { } last && now - last < TimeSpan.FromSeconds(record.TtlSeconds / 4.0);
            if (wantsUnicast && (isProbe || isFresh))
            {
                _pending.Unicast(record, now + delay, source, isProbe);
            }

            if (!wantsUnicast || !isFresh)
            {
                _pending.Multicast(record, now + delay, source.Address, isProbe);
            }
        }
    }

    /// <summary>The asker speaks plain DNS: it gets its question back, one packet, and lifetimes for which it may do without news (section 6.7).</summary>
    private void AnswerLegacy(DnsMessage query, IReadOnlyList<DnsRecord> answers, IPEndPoint source, TimeSpan now)
    {
        if (!_pending.TryTakeUnicast(now))
        {
            return;
        }

        _ready.Add(new Outgoing(
            Link,
            OutgoingKind.Answer,
            new DnsMessage
            {
                Id = query.Id,
                IsResponse = true,
                Questions = [.. query.Questions.Select(question => question with { WantsUnicast = false })],
                Answers = [.. answers.Select(Plain)],
                Additionals = [.. Records.Additional(answers).Select(Plain)],
            },
            source));

        static DnsRecord Plain(DnsRecord record) => record with { IsUnique = false, TtlSeconds = Math.Min(record.TtlSeconds, LegacyTtlSeconds) };
    }

    private TimeSpan Within(int fromMs, int toMs) => TimeSpan.FromMilliseconds(_random.Next(fromMs, toMs + 1));
}
