using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Discovery.Browsing;

/// <summary>
/// The records heard on one link, while they last (RFC 6762 sections 5.2, 10). Pure and bounded: so many of a name and type, so many in all, and none is believed for
/// longer than <see cref="LongestLife"/> without being said again.
/// </summary>
internal sealed class RecordCache(Random random)
{
    public const int MaxRecords = 2048;

    /// <summary>The longest lifetime that RFC 6762 recommends.</summary>
    public static readonly TimeSpan LongestLife = TimeSpan.FromMinutes(75);

    /// <summary>What is taken back lives on for this long, so that who still means it can say so.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(1);

    /// <summary>Parts of its life after which a record is asked for again; then it ends.</summary>
    private static readonly double[] Refreshes = [0.80, 0.85, 0.90, 0.95];

    private readonly Dictionary<(DnsName, RecordType), List<Entry>> _entries = [];
    private int _count;

    public int Count => _count;

    public bool IsFull => _count >= MaxRecords;

    /// <summary>When a record ends or is to be asked for again.</summary>
    public TimeSpan NextDue => _entries.Values.SelectMany(set => set).Select(entry => entry.NextDue).DefaultIfEmpty(TimeSpan.MaxValue).Min();

    /// <summary>Takes a record in, or its end.</summary>
    /// <param name="most">Records that this name and type may have.</param>
    public TakeOutcome Take(DnsRecord record, int most, TimeSpan now)
    {
        var set = _entries.GetValueOrDefault((record.Name, record.Type)) ?? [];
        if (record.IsUnique)
        {
            foreach (var old in set.Where(old => now - old.Heard > Grace && !old.Record.IsSame(record)))
            {
                old.EndBy(now + Grace);
            }
        }

        if (set.Find(entry => entry.Record.IsSame(record)) is { } known)
        {
            if (record.TtlSeconds == 0)
            {
                known.EndBy(now + Grace);
                return TakeOutcome.Known;
            }

            // At its place, so that the order in which different ones came stays.
            set[set.IndexOf(known)] = new Entry(record, now, random);
            return TakeOutcome.Known;
        }

        if (record.TtlSeconds == 0)
        {
            return TakeOutcome.Known;
        }

        if (set.Count >= most || IsFull)
        {
            return TakeOutcome.Refused;
        }

        set.Add(new Entry(record, now, random));
        _count++;
        _entries[(record.Name, record.Type)] = set;
        return TakeOutcome.New;
    }

    public IEnumerable<DnsRecord> Find(DnsName name, RecordType type) => _entries.TryGetValue((name, type), out var set) ? set.Select(entry => entry.Record) : [];

    public bool Has(DnsName name, RecordType type) => _entries.ContainsKey((name, type));

    /// <summary>What an asker knows: records with more than half of their life left, which their lifetime says (section 7.1).</summary>
    public IEnumerable<DnsRecord> Known(DnsName name, RecordType type, TimeSpan now) => _entries.TryGetValue((name, type), out var set)
        ? set.Where(entry => entry.Ends - now > entry.Life / 2).Select(entry => entry.Record with { TtlSeconds = (uint)(entry.Ends - now).TotalSeconds, IsUnique = false })
        : [];

    /// <summary>Forgets what has ended.</summary>
    /// <returns>Whether there was something.</returns>
    public bool Expire(TimeSpan now)
    {
        var before = _count;
        foreach (var (key, set) in _entries)
        {
            _count -= set.RemoveAll(entry => entry.Ends <= now);
            if (set.Count == 0)
            {
                _entries.Remove(key);
            }
        }

        return _count < before;
    }

    /// <summary>Forgets records before they end.</summary>
    public void Remove(DnsName name, RecordType type, Predicate<DnsRecord> which)
    {
        if (_entries.TryGetValue((name, type), out var set))
        {
            _count -= set.RemoveAll(entry => which(entry.Record));
            if (set.Count == 0)
            {
                _entries.Remove((name, type));
            }
        }
    }

    /// <summary>What is to be asked for again now, before it ends.</summary>
    public IReadOnlyList<DnsQuestion> Refresh(TimeSpan now)
    {
        List<DnsQuestion> questions = [];
        foreach (var ((name, type), set) in _entries)
        {
            // One question serves all that are due.
            var isDue = false;
            set.ForEach(entry => isDue |= entry.Refresh(now));
            if (isDue)
            {
                questions.Add(new DnsQuestion(name, type));
            }
        }

        return questions;
    }

    private sealed class Entry(DnsRecord record, TimeSpan heard, Random random)
    {
        // Some hundredths later than others that heard the same.
        private readonly double _late = random.NextDouble() * 0.02;
        private int _refreshed;

        public DnsRecord Record { get; } = record;

        public TimeSpan Heard { get; } = heard;

        public TimeSpan Life { get; } = TimeSpan.FromSeconds(Math.Min(record.TtlSeconds, LongestLife.TotalSeconds));

        public TimeSpan Ends { get; private set; } = heard + TimeSpan.FromSeconds(Math.Min(record.TtlSeconds, LongestLife.TotalSeconds));

        public TimeSpan NextDue => NextRefresh < Ends ? NextRefresh : Ends;

        private TimeSpan NextRefresh => _refreshed < Refreshes.Length ? Heard + (Life * (Refreshes[_refreshed] + _late)) : TimeSpan.MaxValue;

        /// <summary>It was taken back: it ends, and is not asked for.</summary>
        public void EndBy(TimeSpan time) => (Ends, _refreshed) = (time < Ends ? time : Ends, Refreshes.Length);

        public bool Refresh(TimeSpan now)
        {
            var isDue = NextRefresh <= now;
            while (NextRefresh <= now)
            {
                _refreshed++;
            }

            return isDue;
        }
    }
}
