using System.Net;
using P2PWeights.Tracker.Discovery.Messages;
using P2PWeights.Tracker.Discovery.Network;

namespace P2PWeights.Tracker.Discovery.Browsing;

/// <summary>Looks for trackers on all links.</summary>
/// <param name="changed">Told all services that are resolved, of all links, whenever they may have changed.</param>
/// <param name="refused">Told of records for which there was no room.</param>
internal sealed class ServiceBrowser(Random random, Action<IReadOnlyList<FoundService>> changed, Action<int> refused) : IMulticastParty
{
    private readonly Dictionary<LinkId, LinkBrowser> _links = [];

    public TimeSpan NextDue => _links.Count > 0 ? _links.Values.Min(link => link.NextDue) : TimeSpan.MaxValue;

    public void SetLinks(IReadOnlyList<Link> links, TimeSpan now)
    {
        foreach (var gone in _links.Keys.Except(links.Select(link => link.Id)).ToList())
        {
            _links.Remove(gone);
        }

        foreach (var link in links)
        {
            if (_links.TryGetValue(link.Id, out var known))
            {
                known.Link = link;
            }
            else
            {
                _links[link.Id] = new LinkBrowser(link, now, random);
            }
        }

        Tell();
    }

    public void Receive(LinkId link, DnsMessage message, IPEndPoint source, TimeSpan now)
    {
        if (message.IsResponse && _links.TryGetValue(link, out var browser))
        {
            var before = browser.Refused;
            browser.Receive(message, now);
            if (browser.Refused > before)
            {
                refused(browser.Refused - before);
            }
        }
    }

    public IReadOnlyList<Outgoing> Poll(TimeSpan now)
    {
        List<Outgoing> outgoing = [.. _links.Values.SelectMany(link => link.Poll(now))];
        if (_links.Values.Any(link => link.IsChanged))
        {
            Tell();
        }

        return outgoing;
    }

    public IReadOnlyList<Outgoing> Farewell() => [];

    private void Tell() => changed([.. _links.Values.SelectMany(link => link.Services())]);
}
