using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace P2PWeights.Testing;

/// <summary>A TCP listener on loopback that plays a script on every connection: the base of lying, silent and dying peers.</summary>
public sealed class ScriptedListener : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentBag<Task> _connections = [];
    private readonly Task _accepting;

    /// <param name="script">Played on each connection until it returns or the listener is disposed; a broken connection ends it quietly.</param>
    public ScriptedListener(Func<NetworkStream, CancellationToken, Task> script)
    {
        _listener.Start();
        EndPoint = (IPEndPoint)_listener.LocalEndpoint;
        _accepting = AcceptAsync(script);
    }

    public IPEndPoint EndPoint { get; }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();

        // First: a listener that was disposed between two connections would not be listening, which is another error.
        await _accepting;
        _listener.Dispose();
        await Task.WhenAll(_connections);
        _stop.Dispose();
    }

    private async Task AcceptAsync(Func<NetworkStream, CancellationToken, Task> script)
    {
        try
        {
            while (true)
            {
                _connections.Add(PlayAsync(await _listener.AcceptTcpClientAsync(_stop.Token), script));
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException)
        {
        }
    }

    private async Task PlayAsync(TcpClient client, Func<NetworkStream, CancellationToken, Task> script)
    {
        using (client)
        {
            try
            {
                await script(client.GetStream(), _stop.Token);
            }
            catch (Exception e) when (e is OperationCanceledException or IOException)
            {
            }
        }
    }
}
