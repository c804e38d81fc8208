using System.Net;
using System.Net.Sockets;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Tests.Discovery;

/// <summary>
/// One link and the parties on it, in virtual time: what one sends is written to bytes, read again, and heard by all others a millisecond later. Everything is kept in
/// <see cref="Sent"/>.
/// </summary>
internal sealed class VirtualLan
{
    private static readonly TimeSpan Latency = TimeSpan.FromMilliseconds(1);

    private readonly List<(IMulticastParty Party, Link Link)> _parties = [];
    private readonly PriorityQueue<(int From, IPEndPoint? To, DnsMessage Message), (TimeSpan At, int Number)> _travelling = new();

    public TimeSpan Now { get; private set; } = TimeSpan.FromSeconds(1);

    public List<SentMessage> Sent { get; } = [];

    /// <summary>A link of one host, whose address is 10.0.0.HOST/24 unless told otherwise.</summary>
    public static Link LinkOf(int host, params string[] addresses) => new(
        new LinkId(2, AddressFamily.InterNetwork),
        "eth0",
        IsLoopback: false,
        [.. (addresses.Length > 0 ? addresses : [$"10.0.0.{host}"]).Select(address => new IPNetworkAddress(IPAddress.Parse(address), address.Contains(':', StringComparison.Ordinal) ? 64 : 24))]);

    public static IPEndPoint SourceOf(Link link) => new(link.Networks[0].Address, MulticastDns.Port);

    public Link Join(IMulticastParty party, params string[] addresses)
    {
        var link = LinkOf(_parties.Count + 1, addresses);
        _parties.Add((party, link));
        party.SetLinks([link], Now);
        return link;
    }

    /// <summary>A host goes without a word.</summary>
    public void Vanish(IMulticastParty party) => _parties[IndexOf(party)] = (new Nobody(), LinkOf(0));

    /// <summary>A host says goodbye and goes.</summary>
    public void Leave(IMulticastParty party)
    {
        Send(IndexOf(party), party.Farewell());
        Vanish(party);
    }

    /// <summary>Somebody from outside sends to all.</summary>
    public void Inject(DnsMessage message) => Send(-1, [new Outgoing(LinkOf(99), OutgoingKind.Answer, message)]);

    public void Run(TimeSpan span)
    {
        var end = Now + span;
        while (true)
        {
            for (var i = 0; i < _parties.Count; i++)
            {
                if (_parties[i].Party.NextDue <= Now)
                {
                    Send(i, _parties[i].Party.Poll(Now));
                }
            }

            var next = _parties.Min(party => party.Party.NextDue);
            if (_travelling.TryPeek(out _, out var arrival) && arrival.At < next)
            {
                next = arrival.At;
            }

            if (next > end)
            {
                Now = end;
                return;
            }

            Now = next > Now ? next : Now;
            while (_travelling.TryPeek(out var packet, out var at) && at.At <= Now)
            {
                _travelling.Dequeue();
                Deliver(packet.From, packet.To, packet.Message);
            }
        }
    }

    /// <summary>Runs until something holds; false when it does not within the span.</summary>
    public bool RunUntil(Func<bool> condition, TimeSpan within)
    {
        for (var end = Now + within; Now < end && !condition();)
        {
            Run(TimeSpan.FromMilliseconds(10));
        }

        return condition();
    }

    private int IndexOf(IMulticastParty party) => _parties.FindIndex(one => ReferenceEquals(one.Party, party));

    private void Send(int from, IReadOnlyList<Outgoing> messages)
    {
        foreach (var message in messages)
        {
            Sent.Add(new(Now, from, message));
            foreach (var packet in DnsWriter.Write(message.Message))
            {
                _travelling.Enqueue((from, message.To, DnsReader.Read(packet)!), (Now + Latency, _travelling.Count + Sent.Count));
            }
        }
    }

    private void Deliver(int from, IPEndPoint? to, DnsMessage message)
    {
        var source = SourceOf(from < 0 ? LinkOf(99) : _parties[from].Link);
        for (var i = 0; i < _parties.Count; i++)
        {
            if (i != from && (to is null || to.Equals(SourceOf(_parties[i].Link))))
            {
                _parties[i].Party.Receive(_parties[i].Link.Id, message, source, Now);
            }
        }
    }

    private sealed class Nobody : IMulticastParty
    {
        public TimeSpan NextDue => TimeSpan.MaxValue;

        public void SetLinks(IReadOnlyList<Link> links, TimeSpan now)
        {
        }

        public void Receive(LinkId link, DnsMessage message, IPEndPoint source, TimeSpan now)
        {
        }

        public IReadOnlyList<Outgoing> Poll(TimeSpan now) => [];

        public IReadOnlyList<Outgoing> Farewell() => [];
    }
}

/// <summary>A message, when and by which party it was sent.</summary>
internal sealed record SentMessage(TimeSpan At, int From, Outgoing Outgoing);
