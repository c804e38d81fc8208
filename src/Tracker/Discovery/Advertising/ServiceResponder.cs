using System.Net;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Discovery.Advertising;

/// <summary>
/// A tracker's instance on all links. Its names are the same everywhere: when one link loses them, all take others. Who keeps taking our names away makes us slower, not busier
/// (RFC 6762 section 8.1).
/// </summary>
internal sealed class ServiceResponder : IMulticastParty
{
    private const int ManyContentions = 15;
    private static readonly TimeSpan Quiet = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan SlowDown = TimeSpan.FromSeconds(5);

    private readonly Advertisement _advertisement;
    private readonly Random _random;
    private readonly Action<Contention, ServiceNames> _contended;
    private readonly Dictionary<LinkId, LinkResponder> _links = [];
    private readonly List<Outgoing> _ready = [];
    private ServiceNames _names;
    private TimeSpan _lastContention;
    private int _contentions;

    /// <param name="names">To try first.</param>
    /// <param name="contended">Told each time that somebody else wants our names, with those that we go on with.</param>
    public ServiceResponder(Advertisement advertisement, ServiceNames names, Random random, Action<Contention, ServiceNames> contended) =>
        (_advertisement, _names, _random, _contended) = (advertisement, names, random, contended);

    public TimeSpan NextDue => _ready.Count > 0 ? TimeSpan.Zero : _links.Count > 0 ? _links.Values.Min(link => link.NextDue) : TimeSpan.MaxValue;

    /// <summary>Links on which the names are settled and told.</summary>
    public int Announced => _links.Values.Count(link => link.IsAnnounced);

    public void SetLinks(IReadOnlyList<Link> links, TimeSpan now)
    {
        var wanted = links.Select(link => (Link: link, Addresses: _advertisement.AddressesOn(link))).Where(pair => pair.Addresses.Count > 0).ToDictionary(pair => pair.Link.Id);
        foreach (var gone in _links.Keys.Where(id => !wanted.ContainsKey(id)).ToList())
        {
            _links.Remove(gone);
        }

        foreach (var (id, (link, addresses)) in wanted)
        {
            var records = _advertisement.Records(_names, addresses);
            if (!_links.TryGetValue(id, out var known))
            {
                _links[id] = new LinkResponder(link, records, now, _random);
            }
            else if (known.Link != link)
            {
                known.Change(link, records, now);
            }
        }
    }

    public void Receive(LinkId link, DnsMessage message, IPEndPoint source, TimeSpan now)
    {
        if (!_links.TryGetValue(link, out var responder) || responder.Receive(message, source, now) is not (not Contention.None and var contention))
        {
            return;
        }

        // Counted until there is a quiet time.
        _contentions = now - _lastContention > Quiet ? 1 : _contentions + 1;
        _lastContention = now;
        var from = _contentions >= ManyContentions ? now + SlowDown : now;
        if (contention == Contention.Disputed)
        {
            responder.Probe(from);
        }
        else
        {
            _ready.AddRange(Farewell());
            _names = _names.Next(_random);
            foreach (var other in _links.Values.Select(other => other.Link).ToList())
            {
                _links[other.Id] = new LinkResponder(other, _advertisement.Records(_names, _advertisement.AddressesOn(other)), from, _random);
            }
        }

        _contended(contention, _names);
    }

    public IReadOnlyList<Outgoing> Poll(TimeSpan now)
    {
        List<Outgoing> outgoing = [.. _ready, .. _links.Values.SelectMany(link => link.Poll(now))];
        _ready.Clear();
        return outgoing;
    }

    public IReadOnlyList<Outgoing> Farewell() => [.. _links.Values.Select(link => link.Goodbye()).OfType<Outgoing>()];
}
