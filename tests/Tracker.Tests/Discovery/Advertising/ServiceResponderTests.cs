using System.Net;
using P2PWeights.Testing;
using P2PWeights.Tracker.Discovery.Advertising;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Tests.Discovery.Advertising;

/// <summary>What a responder says on a link and when, in virtual time.</summary>
public sealed class ServiceResponderTests
{
    private static readonly TimeSpan Settled = TimeSpan.FromSeconds(8);

    private readonly Seeded _seed = new();
    private readonly VirtualLan _lan = new();

    [Fact]
    public void Start_probes_three_times_then_announces_three_times()
    {
        _lan.Join(Responder("n1", out _));
        _lan.Run(Settled);

        Assert.Equal(
            [OutgoingKind.Probe, OutgoingKind.Probe, OutgoingKind.Probe, OutgoingKind.Announcement, OutgoingKind.Announcement, OutgoingKind.Announcement],
            _lan.Sent.Select(sent => sent.Outgoing.Kind));
        Assert.Equal([250, 250, 250, 1000, 2000], _lan.Sent.Zip(_lan.Sent.Skip(1)).Select(pair => (int)(pair.Second.At - pair.First.At).TotalMilliseconds));
        var probe = _lan.Sent[0].Outgoing.Message;
        Assert.All(probe.Questions, question => Assert.Equal(RecordType.Any, question.Type));
        Assert.Equal([RecordType.Service, RecordType.Text, RecordType.A], probe.Authorities.Select(record => record.Type));
        Assert.All(probe.Authorities, record => Assert.False(record.IsUnique));
        var announced = _lan.Sent[^1].Outgoing.Message.Answers;
        Assert.Equal([false, false, true, true, true], announced.Select(record => record.IsUnique));
        Assert.Equal([4500u, 4500u, 120u, 4500u, 120u], announced.Select(record => record.TtlSeconds));
    }

    [Fact]
    public void Start_with_a_name_that_is_taken_takes_another()
    {
        _lan.Join(Responder("n1", out var first));
        _lan.Run(Settled);
        _lan.Join(Responder("n1", out var second));
        _lan.Run(Settled);

        Assert.Empty(first);
        Assert.Equal(["n1 (2)"], second.Select(names => names.Instance));
        Assert.Contains(_lan.Sent, sent => sent.Outgoing.Kind == OutgoingKind.Announcement && sent.Outgoing.Message.Answers[0].Target.First == "n1 (2)");
    }

    [Fact]
    public void Start_of_many_with_one_name_at_once_ends_with_a_name_for_each()
    {
        const int Count = 6;
        for (var i = 0; i < Count; i++)
        {
            _lan.Join(Responder("n1", out _));
        }

        _lan.Run(TimeSpan.FromSeconds(60));

        var last = _lan.Sent.Where(sent => sent.Outgoing.Kind == OutgoingKind.Announcement).GroupBy(sent => sent.From).Select(sent => sent.Last().Outgoing.Message.Answers[0].Target.First).ToList();
        Assert.True(last.Count == Count && last.Distinct().Count() == Count, $"{string.Join(", ", last)}; {_seed}");
    }

    [Fact]
    public void Record_contradicted_later_is_probed_for_again_and_kept_against_nobody()
    {
        _lan.Join(Responder("n1", out var names));
        _lan.Run(Settled);
        var before = _lan.Sent.Count;

        _lan.Inject(new DnsMessage { IsResponse = true, Answers = [DnsRecord.Service(ServiceNames.Service.Under("n1"), DnsName.Of("other", "local"), 1, 120)] });
        _lan.Run(Settled);

        Assert.Equal(OutgoingKind.Probe, _lan.Sent.Skip(before).First(sent => sent.From == 0).Outgoing.Kind);
        Assert.Equal(OutgoingKind.Announcement, _lan.Sent[^1].Outgoing.Kind);
        Assert.Equal(["n1"], names.Select(one => one.Instance));
    }

    [Fact]
    public void Names_taken_again_and_again_are_sought_more_slowly()
    {
        _lan.Join(Responder("n1", out var names));
        for (var i = 0; i < 100_000 && names.Count < 40; i++)
        {
            _lan.Run(TimeSpan.FromMilliseconds(10));
            if (_lan.Sent.LastOrDefault()?.Outgoing is { Kind: OutgoingKind.Probe } probe)
            {
                _lan.Inject(new DnsMessage { IsResponse = true, Answers = [DnsRecord.Service(probe.Message.Authorities[0].Name, DnsName.Of("other", "local"), 1, 120)] });
            }
        }

        // The first 15 within a second or so each, the others five seconds apart (section 8.1).
        Assert.Equal(40, names.Count);
        Assert.True(_lan.Now > TimeSpan.FromSeconds(20 * 5), $"{_lan.Now}, {_seed}");
    }

    [Fact]
    public void Question_for_the_service_is_answered_with_all_that_is_needed()
    {
        Ask(out var answers, new DnsQuestion(ServiceNames.Service, RecordType.Pointer));

        var (at, message) = Assert.Single(answers);
        Assert.Equal([RecordType.Pointer], message.Answers.Select(record => record.Type));
        Assert.Equal([RecordType.Service, RecordType.Text, RecordType.A], message.Additionals.Select(record => record.Type));
        Assert.InRange(at.TotalMilliseconds, 20, 125);
    }

    [Fact]
    public void Question_only_we_can_answer_is_answered_at_once()
    {
        Ask(out var answers, new DnsQuestion(ServiceNames.Service.Under("n1"), RecordType.Service));

        var (at, message) = Assert.Single(answers);
        Assert.Equal([RecordType.Service], message.Answers.Select(record => record.Type));
        Assert.Equal([RecordType.A], message.Additionals.Select(record => record.Type));
        Assert.InRange(at.TotalMilliseconds, 0, 2);
    }

    [Fact]
    public void Question_for_a_type_that_a_name_has_not_is_answered_with_those_it_has()
    {
        Ask(out var answers, new DnsQuestion(ServiceNames.Service.Under("N1"), RecordType.Aaaa));

        var record = Assert.Single(Assert.Single(answers).Message.Answers);
        Assert.Equal(RecordType.Nsec, record.Type);

        // Types 16 and 33, as bits from the left.
        Assert.Equal([0, 5, 0, 0, 0x80, 0, 0x40], record.Data[^7..]);
    }

    [Fact]
    public void Question_about_others_is_not_answered()
    {
        Ask(out var answers, new DnsQuestion(DnsName.Of("_http", "_tcp", "local"), RecordType.Pointer), new DnsQuestion(ServiceNames.Service.Under("n2"), RecordType.Any));
        Assert.Empty(answers);
    }

    [Theory]
    [InlineData(4500, 0)]
    [InlineData(2250, 0)]
    [InlineData(2249, 1)]
    public void Answer_known_to_the_asker_with_half_its_life_left_is_not_given(uint ttlSeconds, int expected)
    {
        Ask(out var answers, new DnsMessage
        {
            Questions = [new(ServiceNames.Service, RecordType.Pointer)],
            Answers = [DnsRecord.Pointer(ServiceNames.Service, ServiceNames.Service.Under("n1"), ttlSeconds)],
        });
        Assert.Equal(expected, answers.Count);
    }

    [Fact]
    public void Answer_known_as_the_next_packet_says_is_not_given()
    {
        _lan.Join(Responder("n1", out _));
        _lan.Run(Settled);
        var before = _lan.Sent.Count;
        _lan.Inject(new DnsMessage { IsTruncated = true, Questions = [new(ServiceNames.Service, RecordType.Pointer)] });
        _lan.Run(TimeSpan.FromMilliseconds(300));
        _lan.Inject(new DnsMessage { Answers = [DnsRecord.Pointer(ServiceNames.Service, ServiceNames.Service.Under("n1"), 4500)] });
        _lan.Run(Settled);
        Assert.DoesNotContain(_lan.Sent.Skip(before), sent => sent.From == 0);
    }

    [Fact]
    public void Question_asked_many_times_in_one_packet_is_looked_up_once()
    {
        var known = new CountedReads([DnsRecord.Pointer(ServiceNames.Service, ServiceNames.Service.Under("n1"), 4500)]);
        var responder = Responder("n1", out _);
        var link = _lan.Join(responder);
        _lan.Run(Settled);
        var message = new DnsMessage { Questions = [.. Enumerable.Repeat(new DnsQuestion(ServiceNames.Service, RecordType.Pointer), 1000)], Answers = known };

        responder.Receive(link.Id, message, VirtualLan.SourceOf(VirtualLan.LinkOf(99)), _lan.Now);

        Assert.Equal(1, known.Reads);
    }

    [Fact]
    public void Answer_is_multicast_once_a_second_however_often_somebody_asks()
    {
        _lan.Join(Responder("n1", out _));
        _lan.Run(Settled);
        var (before, from) = (_lan.Sent.Count, _lan.Now);
        for (var i = 0; i < 1000; i++)
        {
            _lan.Inject(new DnsMessage { Questions = [new(ServiceNames.Service.Under("n1"), RecordType.Service), new(ServiceNames.Service, RecordType.Pointer)] });
            _lan.Run(TimeSpan.FromMilliseconds(5));
        }

        var answers = _lan.Sent.Skip(before).Where(sent => sent.From == 0).ToList();
        Assert.InRange(answers.Count, 5, 2 * ((int)(_lan.Now - from).TotalSeconds + 1));
    }

    [Fact]
    public void Question_by_unicast_is_answered_by_unicast_when_all_have_heard_lately()
    {
        Ask(out var answers, new DnsQuestion(ServiceNames.Service, RecordType.Pointer, WantsUnicast: true));
        Assert.Single(answers);
        Assert.Equal(VirtualLan.SourceOf(VirtualLan.LinkOf(99)), _lan.Sent[^1].Outgoing.To);

        // A quarter of the lifetime later it is time that all hear it.
        _lan.Run(TimeSpan.FromSeconds(4500 / 4));
        _lan.Inject(new DnsMessage { Questions = [new(ServiceNames.Service, RecordType.Pointer, WantsUnicast: true)] });
        _lan.Run(TimeSpan.FromSeconds(1));
        Assert.True(_lan.Sent[^1] is { From: 0, Outgoing.To: null });
    }

    [Fact]
    public void Question_of_a_plain_resolver_is_answered_as_it_can_read()
    {
        var responder = Responder("n1", out _);
        var link = _lan.Join(responder);
        _lan.Run(Settled);
        var source = new IPEndPoint(IPAddress.Parse("10.0.0.7"), 40_000);

        responder.Receive(link.Id, new DnsMessage { Id = 77, Questions = [new(ServiceNames.Service, RecordType.Pointer)] }, source, _lan.Now);
        var answer = Assert.Single(responder.Poll(_lan.Now));

        Assert.Equal(source, answer.To);
        Assert.True(answer.IsLegacy);
        Assert.Equal(77, answer.Message.Id);
        Assert.Single(answer.Message.Questions);
        Assert.All(answer.Message.Answers.Concat(answer.Message.Additionals), record => Assert.True(record is { IsUnique: false, TtlSeconds: <= 10 }));
        Assert.True(DnsReader.Read(DnsWriter.Write(answer.Message, Outgoing.MaxLegacyBytes)[0]) is { IsTruncated: false, Answers.Count: 1, Additionals.Count: 3 });
    }

    [Fact]
    public void Questions_of_plain_resolvers_are_answered_at_a_bounded_rate()
    {
        var responder = Responder("n1", out _);
        var link = _lan.Join(responder);
        _lan.Run(Settled);
        var answered = 0;
        for (var i = 0; i < 10_000; i++)
        {
            responder.Receive(link.Id, new DnsMessage { Id = 1, Questions = [new(ServiceNames.Service, RecordType.Pointer)] }, new IPEndPoint(IPAddress.Parse("10.0.0.7"), 40_000), _lan.Now);
            answered += responder.Poll(_lan.Now).Count;
        }

        Assert.Equal(64, answered);
    }

    [Fact]
    public void Probe_of_another_is_answered_at_once()
    {
        Ask(out var answers, new DnsMessage
        {
            Questions = [new(ServiceNames.Service.Under("n1"), RecordType.Any)],
            Authorities = [DnsRecord.Service(ServiceNames.Service.Under("n1"), DnsName.Of("z", "local"), 9, 120)],
        });
        Assert.InRange(Assert.Single(answers).After.TotalMilliseconds, 0, 2);
    }

    [Fact]
    public void Goodbye_of_somebody_else_for_our_records_is_corrected()
    {
        Ask(out var answers, new DnsMessage { IsResponse = true, Answers = [DnsRecord.Pointer(ServiceNames.Service, ServiceNames.Service.Under("n1"), 0)] });
        Assert.True(Assert.Single(answers).Message.Answers is [{ Type: RecordType.Pointer, TtlSeconds: 4500 }]);
    }

    [Fact]
    public void Listing_that_another_just_gave_is_not_given_again()
    {
        _lan.Join(Responder("n1", out _));
        _lan.Run(Settled);
        var before = _lan.Sent.Count;
        _lan.Inject(new DnsMessage { Questions = [new(ServiceNames.Services, RecordType.Pointer)] });
        _lan.Run(TimeSpan.FromMilliseconds(5));
        _lan.Inject(new DnsMessage { IsResponse = true, Answers = [DnsRecord.Pointer(ServiceNames.Services, ServiceNames.Service, 4500)] });
        _lan.Run(Settled);
        Assert.DoesNotContain(_lan.Sent.Skip(before), sent => sent.From == 0);
    }

    [Fact]
    public void Farewell_ends_all_that_is_ours_alone()
    {
        var responder = Responder("n1", out _);
        _lan.Join(responder);
        Assert.Empty(responder.Farewell());
        _lan.Run(Settled);

        var goodbye = Assert.Single(responder.Farewell()).Message;

        Assert.Equal([RecordType.Pointer, RecordType.Service, RecordType.Text, RecordType.A], goodbye.Answers.Select(record => record.Type));
        Assert.All(goodbye.Answers, record => Assert.Equal(0u, record.TtlSeconds));
    }

    [Fact]
    public void Addresses_that_change_are_announced_without_probing()
    {
        var responder = Responder("n1", out _);
        var link = _lan.Join(responder);
        _lan.Run(Settled);
        var before = _lan.Sent.Count;

        responder.SetLinks([link with { Networks = [.. link.Networks, new IPNetworkAddress(IPAddress.Parse("10.0.0.77"), 24)] }], _lan.Now);
        _lan.Run(Settled);

        Assert.All(_lan.Sent.Skip(before), sent => Assert.Equal(OutgoingKind.Announcement, sent.Outgoing.Kind));
        Assert.Equal(["10.0.0.1", "10.0.0.77"], _lan.Sent[^1].Outgoing.Message.Answers.Where(record => record.Type == RecordType.A).Select(record => record.IPAddress.ToString()));
    }

    [Theory]
    [InlineData("0.0.0.0", "10.0.0.1")]
    [InlineData("::", "10.0.0.1 fd00::1")]
    [InlineData("10.0.0.1", "10.0.0.1")]
    [InlineData("fd00::1", "fd00::1")]
    [InlineData("10.9.9.9", "")]
    [InlineData("127.0.0.1", "")]
    public void Addresses_advertised_are_those_listened_on(string listen, string expected)
    {
        var advertisement = new Advertisement("default", null, new IPEndPoint(IPAddress.Parse(listen), 7400));
        var link = VirtualLan.LinkOf(1, "10.0.0.1", "fd00::1", "fe80::1");
        Assert.Equal(expected, string.Join(' ', advertisement.AddressesOn(link)));
        Assert.Equal(listen == "::" ? "fe80::1" : "", string.Join(' ', advertisement.AddressesOn(VirtualLan.LinkOf(1, "fe80::1"))));
        Assert.Equal(listen == "127.0.0.1" ? listen : "", string.Join(' ', advertisement.AddressesOn(VirtualLan.LinkOf(1, "127.0.0.1") with { IsLoopback = true })));
    }

    [Fact]
    public void Key_of_the_cluster_is_in_no_packet()
    {
        const string Key = "a secret that must not travel";
        var responder = new ServiceResponder(
            new Advertisement("default", Key, new IPEndPoint(IPAddress.Any, 7400)), ServiceNames.First("n1", _seed.Random), _seed.Random, (_, _) => { });
        _lan.Join(responder);
        _lan.Run(Settled);
        var bytes = string.Concat(_lan.Sent.SelectMany(sent => DnsWriter.Write(sent.Outgoing.Message)).Select(System.Text.Encoding.Latin1.GetString));
        Assert.Contains("proof=", bytes, StringComparison.Ordinal);
        Assert.DoesNotContain(Key, bytes, StringComparison.Ordinal);
        Assert.DoesNotContain(P2PWeights.Tracker.Http.ClusterToken.Of(Key), bytes, StringComparison.OrdinalIgnoreCase);
    }

    private void Ask(out List<(TimeSpan After, DnsMessage Message)> answers, params DnsQuestion[] questions) => Ask(out answers, new DnsMessage { Questions = questions });

    /// <summary>Lets somebody send a message to a responder that has been there for a while; what it then says.</summary>
    private void Ask(out List<(TimeSpan After, DnsMessage Message)> answers, DnsMessage message)
    {
        _lan.Join(Responder("n1", out _));
        _lan.Run(Settled);
        var (before, from) = (_lan.Sent.Count, _lan.Now);
        _lan.Inject(message);
        _lan.Run(Settled);
        answers = [.. _lan.Sent.Skip(before).Where(sent => sent.From == 0).Select(sent => (sent.At - from, sent.Outgoing.Message))];
    }

    private ServiceResponder Responder(string name, out List<ServiceNames> contended)
    {
        List<ServiceNames> names = [];
        contended = names;
        var advertisement = new Advertisement("default", null, new IPEndPoint(IPAddress.Any, 7400));
        return new ServiceResponder(advertisement, ServiceNames.First(name, _seed.Random), _seed.Random, (_, now) => names.Add(now));
    }

    /// <summary>Records that count how often somebody goes through them.</summary>
    private sealed class CountedReads(IReadOnlyList<DnsRecord> records) : IReadOnlyList<DnsRecord>
    {
        public int Reads { get; private set; }

        public int Count => records.Count;

        public DnsRecord this[int index] => records[index];

        public IEnumerator<DnsRecord> GetEnumerator()
        {
            Reads++;
            return records.GetEnumerator();
        }

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }
}
