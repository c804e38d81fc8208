using System.Net;
using P2PWeights.Tracker.Discovery.Browsing;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Tests.Discovery.Browsing;

public sealed class RecordCacheTests
{
    private static readonly DnsName Host = DnsName.Of("h", "local");

    private readonly RecordCache _cache = new(new Random(1));

    [Fact]
    public void Record_lasts_as_long_as_it_says()
    {
        Assert.Equal(TakeOutcome.New, _cache.Take(Address(1, 120), 16, Seconds(0)));
        Assert.False(_cache.Expire(Seconds(119.9)));
        Assert.True(_cache.Has(Host, RecordType.A));
        Assert.True(_cache.Expire(Seconds(120)));
        Assert.False(_cache.Has(Host, RecordType.A));
        Assert.Equal(0, _cache.Count);
    }

    [Fact]
    public void Record_is_believed_for_75_minutes_at_most()
    {
        _cache.Take(Address(1, int.MaxValue), 16, Seconds(0));
        Assert.True(_cache.Expire(Seconds(75 * 60)));
    }

    [Fact]
    public void Record_heard_again_lives_anew()
    {
        _cache.Take(Address(1, 120), 16, Seconds(0));
        _cache.Take(Address(1, 120), 16, Seconds(100));
        Assert.False(_cache.Expire(Seconds(219)));
        Assert.Equal(1, _cache.Count);
    }

    [Fact]
    public void Record_is_asked_for_again_four_times_before_it_ends()
    {
        _cache.Take(Address(1, 100), 16, Seconds(0));
        List<double> asked = [];
        for (var now = _cache.NextDue; now < TimeSpan.MaxValue; now = _cache.NextDue)
        {
            asked.AddRange(_cache.Refresh(now).Select(_ => now.TotalSeconds));
            _cache.Expire(now);
        }

        Assert.Equal(4, asked.Count);
        Assert.All(asked.Zip([80, 85, 90, 95]), pair => Assert.InRange(pair.First, pair.Second, pair.Second + 2));
    }

    [Fact]
    public void Goodbye_ends_a_record_a_second_later_and_nobody_asks_for_it()
    {
        _cache.Take(Address(1, 120), 16, Seconds(0));
        _cache.Take(Address(1, 0), 16, Seconds(10));
        Assert.Empty(_cache.Refresh(Seconds(10.9)));
        Assert.False(_cache.Expire(Seconds(10.9)));
        Assert.True(_cache.Expire(Seconds(11)));
    }

    [Fact]
    public void Goodbye_that_is_taken_back_within_the_second_ends_nothing()
    {
        _cache.Take(Address(1, 120), 16, Seconds(0));
        _cache.Take(Address(1, 0), 16, Seconds(10));
        _cache.Take(Address(1, 120), 16, Seconds(10.5));
        Assert.False(_cache.Expire(Seconds(100)));
    }

    [Fact]
    public void Goodbye_for_what_nobody_knows_is_nothing()
    {
        Assert.Equal(TakeOutcome.Known, _cache.Take(Address(1, 0), 16, Seconds(0)));
        Assert.Equal(0, _cache.Count);
        Assert.False(_cache.Has(Host, RecordType.A));
    }

    [Fact]
    public void Unique_record_ends_the_older_ones_of_its_name_and_type()
    {
        _cache.Take(Address(1, 120), 16, Seconds(0));
        _cache.Take(DnsRecord.Address(Host, IPAddress.IPv6Loopback, 120), 16, Seconds(0));

        // Of those that came together within a second none ends another.
        _cache.Take(Address(2, 120), 16, Seconds(50));
        _cache.Take(Address(3, 120), 16, Seconds(50.5));
        _cache.Expire(Seconds(51.1));

        Assert.Equal(["0.0.0.2", "0.0.0.3"], _cache.Find(Host, RecordType.A).Select(record => record.IPAddress.ToString()));
        Assert.True(_cache.Has(Host, RecordType.Aaaa));
    }

    [Fact]
    public void Cache_holds_so_many_of_a_name_and_so_many_in_all()
    {
        var taken = Enumerable.Range(0, 100).Count(i => _cache.Take(Address(i, 120) with { IsUnique = false }, 16, Seconds(0)) == TakeOutcome.New);
        Assert.Equal(16, taken);
        for (var i = 0; i < 2 * RecordCache.MaxRecords; i++)
        {
            _cache.Take(DnsRecord.Address(DnsName.Of($"h{i}"), IPAddress.Loopback, 120), 16, Seconds(0));
        }

        Assert.Equal(RecordCache.MaxRecords, _cache.Count);
        Assert.Equal(TakeOutcome.Refused, _cache.Take(DnsRecord.Address(Host, IPAddress.IPv6Loopback, 120), 16, Seconds(1)));
        Assert.Equal(TakeOutcome.Known, _cache.Take(Address(3, 120) with { IsUnique = false }, 16, Seconds(1)));
    }

    [Fact]
    public void Known_answers_have_half_their_life_and_say_what_is_left()
    {
        _cache.Take(Address(1, 120), 16, Seconds(0));
        Assert.Equal([90u], _cache.Known(Host, RecordType.A, Seconds(30)).Select(record => record.TtlSeconds));
        Assert.Empty(_cache.Known(Host, RecordType.A, Seconds(60)));
        Assert.Empty(_cache.Known(Host, RecordType.Aaaa, Seconds(0)));
    }

    private static TimeSpan Seconds(double seconds) => TimeSpan.FromSeconds(seconds);

    private static DnsRecord Address(int number, uint ttlSeconds) => DnsRecord.Address(Host, new IPAddress([0, 0, (byte)(number >> 8), (byte)number]), ttlSeconds);
}
