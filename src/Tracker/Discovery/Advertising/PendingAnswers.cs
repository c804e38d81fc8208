using System.Net;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Discovery.Advertising;

/// <summary>
/// Answers of one link that wait for their time, and what was multicast when: no record is multicast twice within a second, or a quarter of one to defend a name
/// (RFC 6762 section 6). Bounded: by multicast each record waits once, by unicast few wait and few per second go out.
/// </summary>
internal sealed class PendingAnswers
{
    private const int MaxUnicast = 64;
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BetweenDefences = TimeSpan.FromMilliseconds(250);

    private readonly List<Answer> _answers = [];
    private readonly Dictionary<(DnsName Name, RecordType Type, string Data), TimeSpan> _multicast = [];
    private readonly RateBudget _unicast = new(perSecond: 20, burst: MaxUnicast);

    public TimeSpan NextDue => _answers.Count > 0 ? _answers.Min(answer => answer.Due) : TimeSpan.MaxValue;

    /// <summary>When a record was multicast last; null for never.</summary>
    public TimeSpan? LastMulticast(DnsRecord record) => _multicast.TryGetValue(Key(record), out var at) ? at : null;

    public void NoteMulticast(IEnumerable<DnsRecord> records, TimeSpan now)
    {
        foreach (var record in records)
        {
            _multicast[Key(record)] = now;
        }
    }

    /// <summary>Lets a record be multicast.</summary>
    /// <param name="asker">Who asked; null when more than one did, or nobody.</param>
    /// <param name="isDefence">A probe asks, which does not wait long.</param>
    public void Multicast(DnsRecord record, TimeSpan due, IPAddress? asker, bool isDefence)
    {
        var index = _answers.FindIndex(answer => answer.To is null && answer.Record.IsSame(record));
        if (index < 0)
        {
            _answers.Add(new Answer(record, due, null, asker, isDefence));
            return;
        }

        var waiting = _answers[index];
        _answers[index] = waiting with
        {
            Due = due < waiting.Due ? due : waiting.Due,
            Asker = waiting.Asker?.Equals(asker) == true ? asker : null,
            IsDefence = isDefence || waiting.IsDefence,
        };
    }

    /// <summary>Lets a record be sent to the one who asked.</summary>
    /// <returns>False when too many wait.</returns>
    public bool Unicast(DnsRecord record, TimeSpan due, IPEndPoint to, bool isDefence)
    {
        if (_answers.Count(answer => answer.To is not null) >= MaxUnicast)
        {
            return false;
        }

        _answers.Add(new Answer(record, due, to, to.Address, isDefence));
        return true;
    }

    /// <summary>Whether the budget for answers by unicast has room for one packet more.</summary>
    public bool TryTakeUnicast(TimeSpan now) => _unicast.TryTake(now);

    /// <summary>An asker knows these answers already: they do not go to it (RFC 6762 section 7.2).</summary>
    public void Forget(IReadOnlyList<DnsRecord> known, IPAddress asker) =>
        _answers.RemoveAll(answer => asker.Equals(answer.Asker) && Suppresses(known, answer.Record));

    /// <summary>Somebody else multicast the same: no need to say it again (RFC 6762 section 7.4).</summary>
    public void Heard(DnsRecord record, TimeSpan now)
    {
        if (_answers.RemoveAll(answer => answer.To is null && !answer.IsDefence && answer.Record.IsSame(record) && record.TtlSeconds >= answer.Record.TtlSeconds) > 0)
        {
            NoteMulticast([record], now);
        }
    }

    public void Clear() => _answers.Clear();

    /// <summary>The answers whose time has come: one list for everybody, and one for each who is answered alone.</summary>
    public IReadOnlyList<(IPEndPoint? To, IReadOnlyList<DnsRecord> Records)> TakeDue(TimeSpan now)
    {
        List<Answer> due = [.. _answers.Where(answer => answer.Due <= now)];
        _answers.RemoveAll(answer => answer.Due <= now);
        List<(IPEndPoint? To, IReadOnlyList<DnsRecord> Records)> lists = [];
        foreach (var together in due.Where(answer => answer.To is not null || IsLate(answer, now)).GroupBy(answer => answer.To))
        {
            if (together.Key is null || TryTakeUnicast(now))
            {
                lists.Add((together.Key, [.. together.Select(answer => answer.Record)]));
            }
        }

        return lists;
    }

    /// <summary>Whether some known answers hold a record, with half of its life left at least (RFC 6762 section 7.1).</summary>
    public static bool Suppresses(IReadOnlyList<DnsRecord> known, DnsRecord record) =>
        known.Any(other => other.IsSame(record) && other.TtlSeconds >= record.TtlSeconds / 2);

    private bool IsLate(Answer answer, TimeSpan now) =>
        LastMulticast(answer.Record) is not { } last || now - last >= (answer.IsDefence ? BetweenDefences : Between);

    private static (DnsName Name, RecordType Type, string Data) Key(DnsRecord record) => (record.Name, record.Type, Convert.ToHexString(record.Data));

    private sealed record Answer(DnsRecord Record, TimeSpan Due, IPEndPoint? To, IPAddress? Asker, bool IsDefence);
}
