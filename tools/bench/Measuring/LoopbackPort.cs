using System.Net;
using System.Net.Sockets;

namespace P2PWeights.Bench.Measuring;

/// <summary>Ports for servers that cannot choose one themselves.</summary>
internal static class LoopbackPort
{
    /// <summary>A port that was free a moment ago.</summary>
    public static int Free()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Waits until something listens on a port.</summary>
    /// <returns>False when the deadline passed, or <paramref name="isGone"/> said that nothing will.</returns>
    public static async Task<bool> ListensAsync(int port, TimeSpan deadline, Func<bool> isGone, CancellationToken cancellationToken)
    {
        var end = Environment.TickCount64 + (long)deadline.TotalMilliseconds;
        while (!isGone() && Environment.TickCount64 < end)
        {
            using var client = new TcpClient();
            try
            {
                await client.ConnectAsync(IPAddress.Loopback, port, cancellationToken);
                return true;
            }
            catch (SocketException)
            {
                await Task.Delay(20, cancellationToken);
            }
        }

        return false;
    }
}
