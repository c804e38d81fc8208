using System.Net;
using P2PWeights.Testing;
using P2PWeights.Tracker.Discovery.Advertising;
using P2PWeights.Tracker.Discovery.Browsing;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Tests.Discovery.Browsing;

/// <summary>What a browser asks and finds, in virtual time, with real responders on the link.</summary>
public sealed class ServiceBrowserTests
{
    private readonly Seeded _seed = new();
    private readonly VirtualLan _lan = new();
    private readonly ServiceBrowser _browser;
    private IReadOnlyList<FoundService> _found = [];
    private int _refused;

    public ServiceBrowserTests() => _browser = new ServiceBrowser(_seed.Random, found => _found = found, count => _refused += count);

    [Fact]
    public void Tracker_that_is_there_is_found_within_a_moment()
    {
        _lan.Join(Responder("n1", 7400), "10.0.0.1", "fd00::1");
        _lan.Run(TimeSpan.FromSeconds(20));
        _lan.Join(_browser);

        Assert.True(_lan.RunUntil(() => _found.Count > 0, TimeSpan.FromSeconds(0.5)));
        var service = Assert.Single(_found);
        Assert.Equal(("n1", (ushort)7400), (service.Instance, service.Port));
        Assert.Equal("10.0.0.1", Assert.Single(service.Addresses).ToString());
        Assert.Equal("default", service.Pairs["cluster"]);
    }

    [Fact]
    public void Tracker_that_comes_later_is_found_when_it_announces_itself()
    {
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromMinutes(30));
        _lan.Join(Responder("n1", 7400));
        Assert.True(_lan.RunUntil(() => _found.Count > 0, TimeSpan.FromSeconds(1.5)));
    }

    [Fact]
    public void Tracker_that_says_goodbye_is_gone_a_second_later()
    {
        var tracker = Responder("n1", 7400);
        _lan.Join(tracker);
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromSeconds(10));
        Assert.Single(_found);
        _lan.Leave(tracker);
        Assert.True(_lan.RunUntil(() => _found.Count == 0, TimeSpan.FromSeconds(1.1)));
    }

    [Fact]
    public void Tracker_that_vanishes_is_asked_for_and_then_forgotten()
    {
        var tracker = Responder("n1", 7400);
        _lan.Join(tracker);
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromSeconds(10));
        _lan.Vanish(tracker);
        Assert.True(_lan.RunUntil(() => _found.Count == 0, TimeSpan.FromSeconds(130)));
        Assert.InRange(_lan.Now.TotalSeconds, 120, 135);
    }

    [Fact]
    public void Tracker_that_stays_is_never_lost_and_seldom_asked()
    {
        _lan.Join(Responder("n1", 7400));
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromSeconds(10));
        var lost = false;
        for (var i = 0; i < 600; i++)
        {
            _lan.Run(TimeSpan.FromSeconds(10));
            lost |= _found.Count != 1;
        }

        Assert.False(lost, $"{_seed}");
        var queries = _lan.Sent.Count(sent => sent.Outgoing.Kind == OutgoingKind.Query);
        Assert.True(queries < 200, $"{queries} queries in 100 minutes");
    }

    [Fact]
    public void Tracker_that_was_killed_and_comes_back_at_another_port_is_found_there_and_only_there()
    {
        var tracker = Responder("n1", 7400);
        _lan.Join(tracker);
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromSeconds(10));
        _lan.Vanish(tracker);
        _lan.Join(Responder("n1", 7555), "10.0.0.1");
        Assert.True(_lan.RunUntil(() => _found.Any(service => service.Port == 7555), TimeSpan.FromSeconds(3)));
        _lan.Run(TimeSpan.FromSeconds(2));
        Assert.Equal(7555, Assert.Single(_found).Port);
    }

    [Fact]
    public void Queries_become_rare_with_nobody_there()
    {
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromHours(5));

        Assert.All(_lan.Sent, sent => Assert.Equal([new DnsQuestion(ServiceNames.Service, RecordType.Pointer)], sent.Outgoing.Message.Questions));
        var pauses = _lan.Sent.Zip(_lan.Sent.Skip(1)).Select(pair => Math.Round((pair.Second.At - pair.First.At).TotalSeconds)).ToList();
        Assert.Equal([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600, 3600], pauses);
    }

    [Fact]
    public void Query_says_what_is_known_so_that_nobody_repeats_it()
    {
        _lan.Join(Responder("n1", 7400));
        _lan.Run(TimeSpan.FromSeconds(20));
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromMinutes(2));

        var browses = _lan.Sent.Where(sent => sent.Outgoing.Message.Questions.Any(question => question.Type == RecordType.Pointer)).ToList();
        Assert.Empty(browses[0].Outgoing.Message.Answers);
        Assert.All(browses.Skip(1), sent => Assert.Equal("n1", Assert.Single(sent.Outgoing.Message.Answers).Target.First));
        Assert.Single(_lan.Sent, sent => sent.Outgoing is { Kind: OutgoingKind.Answer, Message.Answers: [{ Type: RecordType.Pointer }] });
    }

    [Fact]
    public void Parts_that_are_missing_are_asked_for_ever_more_seldom()
    {
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromSeconds(1));
        var instance = ServiceNames.Service.Under("half");
        _lan.Inject(new DnsMessage { IsResponse = true, Answers = [DnsRecord.Pointer(ServiceNames.Service, instance, 4500)] });
        _lan.Run(TimeSpan.FromSeconds(100));

        var asked = _lan.Sent.SelectMany(sent => sent.Outgoing.Message.Questions).Where(question => question.Name.Equals(instance)).ToLookup(question => question.Type);
        Assert.InRange(asked[RecordType.Service].Count(), 6, 8);
        Assert.InRange(asked[RecordType.Text].Count(), 6, 8);

        var host = DnsName.Of("half-host", "local");
        _lan.Inject(new DnsMessage { IsResponse = true, Answers = [DnsRecord.Service(instance, host, 1, 120), DnsRecord.Text(instance, [], 120)] });
        _lan.Run(TimeSpan.FromSeconds(2));
        Assert.Contains(_lan.Sent.SelectMany(sent => sent.Outgoing.Message.Questions), question => question == new DnsQuestion(host, RecordType.Aaaa));
        _lan.Inject(new DnsMessage { IsResponse = true, Answers = [DnsRecord.Address(host, IPAddress.Parse("fe80::7"), 120)] });
        _lan.Run(TimeSpan.FromSeconds(2));
        Assert.Equal("fe80::7%2", Assert.Single(Assert.Single(_found).Addresses).ToString());
    }

    [Fact]
    public void Flood_of_records_is_bounded_and_counted()
    {
        _lan.Join(_browser);
        for (var i = 0; i < 2000; i++)
        {
            var instance = ServiceNames.Service.Under($"fake {i}");
            _lan.Inject(new DnsMessage
            {
                IsResponse = true,
                Answers = [DnsRecord.Pointer(ServiceNames.Service, instance, 4500), DnsRecord.Service(instance, DnsName.Of($"h{i}", "local"), 1, 120), DnsRecord.Text(instance, [], 120)],
                Additionals = [.. Enumerable.Range(0, 30).Select(j => DnsRecord.Address(DnsName.Of($"h{i}", "local"), new IPAddress([10, 0, (byte)i, (byte)j]), 120))],
            });
            _lan.Run(TimeSpan.FromMilliseconds(3));
        }

        Assert.InRange(_found.Count, LinkBrowser.MaxInstances / 2, LinkBrowser.MaxInstances);
        Assert.All(_found, service => Assert.True(service.Addresses.Count <= LinkBrowser.MaxPerName));
        Assert.True(_refused > 1000);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(LinkBrowser.MaxPerName)]
    public void Invented_instances_keep_no_tracker_out_and_drive_none_away(int servicesEach)
    {
        _lan.Join(_browser);
        Invent(0, LinkBrowser.MaxInstances);
        _lan.Join(Responder("n1", 7400));
        Assert.True(_lan.RunUntil(() => _found.Count > 0, TimeSpan.FromSeconds(3)));

        Invent(LinkBrowser.MaxInstances, 1000);
        _lan.Run(TimeSpan.FromSeconds(1));
        Assert.Equal("n1", Assert.Single(_found).Instance);

        void Invent(int first, int count)
        {
            for (var i = first; i < first + count; i++)
            {
                var instance = ServiceNames.Service.Under($"fake {i}");
                var services = Enumerable.Range(0, servicesEach).Select(j => DnsRecord.Service(instance, DnsName.Of($"h{i}-{j}", "local"), 1, 4500) with { IsUnique = false });
                _lan.Inject(new DnsMessage { IsResponse = true, Answers = [DnsRecord.Pointer(ServiceNames.Service, instance, 4500), .. services] });
                _lan.Run(TimeSpan.FromMilliseconds(3));
            }
        }
    }

    [Fact]
    public void Records_of_other_services_are_not_kept()
    {
        _lan.Join(_browser);
        var other = DnsName.Of("_http", "_tcp", "local");
        _lan.Inject(new DnsMessage
        {
            IsResponse = true,
            Answers = [DnsRecord.Pointer(other, other.Under("x"), 4500), DnsRecord.Pointer(ServiceNames.Service, other.Under("x"), 4500), DnsRecord.Service(other.Under("x"), DnsName.Of("h"), 1, 120)],
        });
        _lan.Run(TimeSpan.FromSeconds(10));
        Assert.Empty(_found);
        Assert.DoesNotContain(_lan.Sent, sent => sent.From == 0 && sent.Outgoing.Message.Questions.Any(question => question.Name.Equals(other.Under("x"))));
    }

    [Fact]
    public void Link_that_goes_takes_its_trackers_along()
    {
        _lan.Join(Responder("n1", 7400));
        _lan.Join(_browser);
        _lan.Run(TimeSpan.FromSeconds(10));
        _browser.SetLinks([], _lan.Now);
        Assert.Empty(_found);
        Assert.Equal(TimeSpan.MaxValue, _browser.NextDue);
    }

    private ServiceResponder Responder(string name, int port) =>
        new(new Advertisement("default", null, new IPEndPoint(IPAddress.Any, port)), ServiceNames.First(name, _seed.Random), _seed.Random, (_, _) => { });
}
