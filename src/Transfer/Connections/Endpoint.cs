using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace P2PWeights.Transfer.Connections;

/// <summary><c>host:port</c>; an IPv6 address stands in brackets.</summary>
internal sealed record Endpoint(string Host, int Port)
{
    public static bool TryParse(string text, [NotNullWhen(true)] out Endpoint? endpoint)
    {
        endpoint = null;
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(text.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
        {
            return false;
        }

        var host = text[..colon];
        var bracketed = host is ['[', .., ']'];
        if (host.Contains(':') != bracketed)
        {
            return false;
        }

        host = bracketed ? host[1..^1] : host;
        if (Uri.CheckHostName(host) == UriHostNameType.Unknown)
        {
            return false;
        }

        endpoint = new Endpoint(host, port);
        return true;
    }

    /// <summary>The address to bind to.</summary>
    /// <exception cref="SocketException">The host has no address.</exception>
    public async ValueTask<IPEndPoint> ResolveAsync(CancellationToken cancellationToken)
    {
        if (IPAddress.TryParse(Host, out var address))
        {
            return new IPEndPoint(address, Port);
        }

        var addresses = await Dns.GetHostAddressesAsync(Host, cancellationToken).ConfigureAwait(false);
        var best = Array.Find(addresses, a => a.AddressFamily == AddressFamily.InterNetwork) ?? addresses.FirstOrDefault();
        return best is null ? throw new SocketException((int)SocketError.HostNotFound) : new IPEndPoint(best, Port);
    }
}
