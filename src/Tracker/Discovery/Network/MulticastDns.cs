using System.Net.Sockets;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Discovery.Network;

/// <summary>
/// Carries multicast DNS between a party and the links of this machine. A task per socket receives; one loop owns the party, sends, and looks every few seconds which links
/// there are. What waits between them is bounded, and so is what is looked at per second. Stopping sends the party's farewell.
/// </summary>
internal sealed class MulticastDns : IAsyncDisposable
{
    public const int Port = 5353;

    private const int MaxWaiting = 256;
    private static readonly TimeSpan LinkCheckInterval = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan FarewellWithin = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan PauseAfterError = TimeSpan.FromMilliseconds(100);

    private readonly IMulticastParty _party;
    private readonly TimeProvider _time;
    private readonly long _start;
    private readonly DiscoveryMetrics _metrics;
    private readonly ILogger _log;
    private readonly IReadOnlyList<MulticastSocket> _sockets;
    private readonly MulticastSocket? _loopback;
    private readonly Channel<Packet> _packets = Channel.CreateBounded<Packet>(new BoundedChannelOptions(MaxWaiting) { SingleReader = true });
    private readonly RecentPackets _recent = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task> _receivers;
    private readonly Task _loop;
    private Dictionary<LinkId, Link> _links = [];

    /// <exception cref="TrackerException"><see cref="TrackerError.Listen"/>: there is no socket to be had.</exception>
    public MulticastDns(IMulticastParty party, TimeProvider time, DiscoveryMetrics metrics, ILogger log)
    {
        (_party, _time, _metrics, _log, _start) = (party, time, metrics, log, time.GetTimestamp());
        List<string> problems = [];
        _sockets = [.. new[] { AddressFamily.InterNetwork, AddressFamily.InterNetworkV6 }.Select(family => TryOpen(family, loopback: false, problems)).OfType<MulticastSocket>()];
        if (_sockets.Count == 0)
        {
            throw new TrackerException(TrackerError.Listen, $"multicast DNS cannot be used on UDP port {Port}: {string.Join("; ", problems)}. Name the tracker's address instead of discovering it.");
        }

        _loopback = TryOpen(AddressFamily.InterNetwork, loopback: true, problems);
        _receivers = [.. Sockets.Select(socket => Task.Run(() => ReceiveAsync(socket, _stop.Token)))];
        _loop = Task.Run(() => RunAsync(_stop.Token));
    }

    private IEnumerable<MulticastSocket> Sockets => _loopback is null ? _sockets : [.. _sockets, _loopback];

    private TimeSpan Now => _time.GetElapsedTime(_start);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await Task.WhenAll(_receivers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        using (var deadline = new CancellationTokenSource(FarewellWithin))
        {
            await SendAsync(_party.Farewell(), deadline.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        foreach (var socket in Sockets)
        {
            socket.Dispose();
        }

        _stop.Dispose();
    }

    private static MulticastSocket? TryOpen(AddressFamily family, bool loopback, List<string> problems)
    {
        try
        {
            return MulticastSocket.Open(family, loopback);
        }
        catch (SocketException e)
        {
            problems.Add($"{(family == AddressFamily.InterNetwork ? "IPv4" : "IPv6")}: {e.Message}");
            return null;
        }
    }

    private async Task RunAsync(CancellationToken stop)
    {
        var nextCheck = TimeSpan.Zero;
        try
        {
            while (!stop.IsCancellationRequested)
            {
                if (Now is var now && now >= nextCheck)
                {
                    CheckLinks(now);
                    nextCheck = now + LinkCheckInterval;
                }

                await SendAsync(_party.Poll(Now), stop).ConfigureAwait(false);
                await WaitAsync(_party.NextDue < nextCheck ? _party.NextDue : nextCheck, stop).ConfigureAwait(false);
                for (var taken = 0; taken < MaxWaiting && _packets.Reader.TryRead(out var packet); taken++)
                {
                    _metrics.Received(Take(packet));
                }
            }
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            TrackerLog.DiscoveryBroke(_log, e);
            throw;
        }
    }

    private void CheckLinks(TimeSpan now)
    {
        var links = LinkTable.Current().Where(link => _sockets.Any(socket => socket.Family == link.Id.Family)).ToDictionary(link => link.Id);
        foreach (var socket in _sockets)
        {
            foreach (var (index, reason) in socket.Join(links.Keys.Where(id => id.Family == socket.Family).Select(id => id.Interface).ToHashSet()))
            {
                var id = new LinkId(index, socket.Family);
                TrackerLog.LinkNotJoined(_log, links[id].Name, reason);
                links.Remove(id);
            }
        }

        _links = links;
        _party.SetLinks([.. links.Values], now);
    }

    private async Task WaitAsync(TimeSpan until, CancellationToken stop)
    {
        if (until - Now is not { Ticks: > 0 } wait)
        {
            return;
        }

        using var timeout = new CancellationTokenSource(wait, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, stop);
        try
        {
            await _packets.Reader.WaitToReadAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!stop.IsCancellationRequested)
        {
            // The time has come.
        }
    }

    private ReceivedOutcome Take(Packet packet)
    {
        if (packet.Bytes.Length > MulticastSocket.MaxPacketBytes)
        {
            return ReceivedOutcome.Oversized;
        }

        if (!_links.TryGetValue(packet.Link, out var link) || !link.IsOnLink(packet.Source.Address))
        {
            return ReceivedOutcome.OffLink;
        }

        if (_recent.Contains(packet.Bytes))
        {
            return ReceivedOutcome.Own;
        }

        if (DnsReader.Read(packet.Bytes) is not { } message)
        {
            return ReceivedOutcome.Malformed;
        }

        if (message.IsResponse && packet.Source.Port != Port)
        {
            return ReceivedOutcome.OffLink;
        }

        _party.Receive(packet.Link, message, packet.Source, Now);
        return ReceivedOutcome.Taken;
    }

    private async Task SendAsync(IReadOnlyList<Outgoing> messages, CancellationToken cancellationToken)
    {
        foreach (var message in messages)
        {
            // One packet is all that a plain resolver takes.
            var packets = message.IsLegacy ? DnsWriter.Write(message.Message, Outgoing.MaxLegacyBytes).Take(1) : DnsWriter.Write(message.Message);
            foreach (var packet in packets)
            {
                await SendAsync(message, packet, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    private async Task SendAsync(Outgoing message, byte[] packet, CancellationToken cancellationToken)
    {
        var link = message.Link;
        var socket = link.IsLoopback && message.To is null ? _loopback : _sockets.FirstOrDefault(socket => socket.Family == link.Id.Family);
        if (socket is null)
        {
            return;
        }

        if (message.To is null)
        {
            _recent.Add(packet);
        }

        var failed = true;
        try
        {
            await socket.SendAsync(packet, link.Id.Interface, message.To, cancellationToken).ConfigureAwait(false);
            failed = false;
        }
        catch (SocketException e)
        {
            TrackerLog.MulticastNotSent(_log, link.Name, e.Message);
        }
        finally
        {
            _metrics.Sent(message.Kind, failed);
        }
    }

    private async Task ReceiveAsync(MulticastSocket socket, CancellationToken stop)
    {
        // One byte more than the longest packet, so that a longer one shows.
        var buffer = new byte[MulticastSocket.MaxPacketBytes + 1];
        var budget = new RateBudget(perSecond: 300, burst: 600);
        while (!stop.IsCancellationRequested)
        {
            try
            {
                var (length, source, index) = await socket.ReceiveAsync(buffer, stop).ConfigureAwait(false);
                if (!budget.TryTake(Now) || !_packets.Writer.TryWrite(new Packet(new LinkId(index, socket.Family), source, buffer[..length])))
                {
                    _metrics.Received(ReceivedOutcome.Flood);
                }
            }
            catch (SocketException)
            {
                // A receiver of ours that is gone (ICMP), or an interface that went away: the next call goes on.
                await Task.Delay(PauseAfterError, _time, stop).ConfigureAwait(false);
            }
        }
    }
}
