using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Swarm;

/// <summary>Tells every BitTorrent client on this machine of every other (BEP 3, with the compact peers of BEP 23): what any tracker does for so few.</summary>
internal sealed class TorrentTracker : IAsyncDisposable
{
    /// <summary>Seconds between two questions of a client: short, so that those who asked first hear of the others soon.</summary>
    private const int IntervalSeconds = 5;

    private readonly ConcurrentDictionary<ushort, bool> _ports = [];
    private readonly HttpListener _listener = new();
    private readonly Task _serving;

    public TorrentTracker()
    {
        Address = new Uri(string.Create(CultureInfo.InvariantCulture, $"http://127.0.0.1:{LoopbackPort.Free()}/announce"));
        _listener.Prefixes.Add($"{Address}/");
        _listener.Start();
        _serving = ServeAsync();
    }

    /// <summary>Where clients announce themselves.</summary>
    public Uri Address { get; }

    /// <summary>Forgets everybody: the next swarm is another one.</summary>
    public void Clear() => _ports.Clear();

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        await _serving;
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                var context = await _listener.GetContextAsync();
                if (ushort.TryParse(context.Request.QueryString["port"], NumberStyles.None, CultureInfo.InvariantCulture, out var port))
                {
                    if (context.Request.QueryString["event"] == "stopped")
                    {
                        _ports.TryRemove(port, out _);
                    }
                    else
                    {
                        _ports.TryAdd(port, true);
                    }
                }

                context.Response.Close(Answer(), willBlock: false);
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // Closed.
        }
    }

    private byte[] Answer()
    {
        var ports = _ports.Keys.ToArray();
        var peers = new byte[ports.Length * 6];
        for (var i = 0; i < ports.Length; i++)
        {
            IPAddress.Loopback.TryWriteBytes(peers.AsSpan(i * 6), out _);
            BinaryPrimitives.WriteUInt16BigEndian(peers.AsSpan((i * 6) + 4), ports[i]);
        }

        return [.. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"d8:intervali{IntervalSeconds}e5:peers{peers.Length}:")), .. peers, (byte)'e'];
    }
}
