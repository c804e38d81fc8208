using System.Net;
using System.Net.Sockets;
using P2PWeights.Transfer.Connections;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Serving;

/// <summary>Listens for peers, lets in those that may, and serves each connection on its own task until it ends. Disposing ends and awaits them all.</summary>
internal sealed class PeerServer(Identity self, PeerBook peers, ConnectionWatch watch, ServingContext context) : IAsyncDisposable
{
    private const int Backlog = 512;

    private readonly OwnedTasks _connections = new();
    private readonly Lock _gate = new();

    /// <summary>Callers that have not proved themselves, and since when, the longest waiting first. Under the lock.</summary>
    private readonly LinkedList<(Socket Socket, long Since)> _callers = [];
    private readonly CancellationTokenSource _stop = new();
    private Socket? _listener;
    private TaskCompletionSource? _left;
    private Task _accepting = Task.CompletedTask;
    private int _served;

    public IPEndPoint LocalEndPoint => (IPEndPoint)(_listener?.LocalEndPoint ?? throw new InvalidOperationException("the server is not started"));

    /// <exception cref="TransferException"><see cref="TransferError.Listen"/>.</exception>
    public async Task StartAsync(string listen, CancellationToken cancellationToken)
    {
        if (!Endpoint.TryParse(listen, out var endpoint))
        {
            throw new TransferException(TransferError.Listen, $"cannot listen on '{listen}': it is not host:port");
        }

        try
        {
            var address = await endpoint.ResolveAsync(cancellationToken).ConfigureAwait(false);
            _listener = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            _listener.Bind(address);
            _listener.Listen(Backlog);
        }
        catch (SocketException e)
        {
            _listener?.Dispose();
            throw new TransferException(TransferError.Listen, $"cannot listen on {listen}: {e.Message}; choose another port or end what uses it", e);
        }

        _accepting = AcceptAsync(_listener);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        _listener?.Dispose();
        await _accepting.ConfigureAwait(false);
        await _connections.WaitAsync().ConfigureAwait(false);
        _stop.Dispose();
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                var socket = await listener.AcceptAsync(_stop.Token).ConfigureAwait(false);
                await MakeRoomAsync().ConfigureAwait(false);
                var caller = Admit(socket);
                _connections.Start(() => ServeAsync(socket, caller));
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (ObjectDisposedException)
            {
                return;
            }
            catch (SocketException e)
            {
                // Out of descriptors, or a caller that left while it was let in: the listener itself lives on.
                context.Log.AcceptFailed(e.Message);
                await Task.Delay(TimeSpan.FromMilliseconds(100), context.Time, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    /// <summary>
    /// Waits until one more caller may begin its handshake; others wait in the kernel's backlog meanwhile. Of too many, the one that has waited longest is closed, but only when an honest one would long be
    /// through: whoever opens connections and says nothing keeps none out, and a burst of honest ones loses none.
    /// </summary>
    private async ValueTask MakeRoomAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            Task left;
            TimeSpan patience;
            lock (_gate)
            {
                if (_callers.Count < WireLimits.MaxHandshakes)
                {
                    return;
                }

                var (oldest, since) = _callers.First!.Value;
                patience = WireLimits.HandshakePatience - context.Time.GetElapsedTime(since);
                if (patience <= TimeSpan.Zero)
                {
                    _callers.RemoveFirst();
                    oldest.Dispose();
                    return;
                }

                _left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                left = _left.Task;
            }

            await left.WaitAsync(patience, context.Time, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private LinkedListNode<(Socket Socket, long Since)> Admit(Socket socket)
    {
        lock (_gate)
        {
            return _callers.AddLast((socket, context.Time.GetTimestamp()));
        }
    }

    /// <summary>The handshake is over, one way or the other.</summary>
    private void Leave(LinkedListNode<(Socket Socket, long Since)> caller)
    {
        lock (_gate)
        {
            if (caller.List is not null)
            {
                _callers.Remove(caller);
                _left?.TrySetResult();
            }
        }
    }

    /// <summary>One connection from its first byte to its last. Never fails: what ends a connection concerns nobody else.</summary>
    private async Task ServeAsync(Socket socket, LinkedListNode<(Socket Socket, long Since)> caller)
    {
        FrameConnection connection;
        try
        {
            connection = new FrameConnection(socket, context.Time);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            Leave(caller);
            socket.Dispose();
            return;
        }

        using var watched = watch.Add(connection);
        try
        {
            var hello = await ShakeHandsAsync(connection, caller).ConfigureAwait(false);
            Interlocked.Increment(ref _served);
            try
            {
                await ServeAsync(connection, hello).ConfigureAwait(false);
            }
            finally
            {
                Interlocked.Decrement(ref _served);
            }
        }
        catch (OperationCanceledException)
        {
            context.Log.ConnectionEnded(connection.Remote, _stop.IsCancellationRequested ? "this node stops" : "the handshake took too long");
        }
        catch (IOException e)
        {
            context.Log.ConnectionEnded(connection.Remote, e.Message);
        }
        catch (TransferException e)
        {
            context.Log.Refused(connection.Remote, e.Message);
        }
    }

    private Task ServeAsync(FrameConnection connection, HelloMessage hello)
    {
        connection.IdleTimeout = WireLimits.IdleTimeout;
        context.Log.Serving(hello.Name, connection.Remote, hello.Lane);
        return hello.Lane switch
        {
            LaneKind.Control => new SubscriberLane(connection, hello.Node, context).RunAsync(_stop.Token),
            LaneKind.Lease => ServeLeasesAsync(connection, hello.Node),
            _ => UploadAsync(connection, hello.Node),
        };
    }

    private async Task UploadAsync(FrameConnection connection, Guid peer)
    {
        using var lane = new UploadLane(connection, peer, context);
        await lane.RunAsync(_stop.Token).ConfigureAwait(false);
    }

    private async Task ServeLeasesAsync(FrameConnection connection, Guid peer)
    {
        using var lane = new LeaseLane(connection, peer, context);
        await lane.RunAsync(_stop.Token).ConfigureAwait(false);
    }

    private async ValueTask<HelloMessage> ShakeHandsAsync(FrameConnection connection, LinkedListNode<(Socket Socket, long Since)> caller)
    {
        using var deadline = new CancellationTokenSource(WireLimits.HandshakeTimeout, context.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _stop.Token);
        try
        {
            return await Handshake.AnswerAsync(connection, self, Refusal, either.Token).ConfigureAwait(false);
        }
        finally
        {
            Leave(caller);
        }
    }

    private string? Refusal(HelloMessage hello)
    {
        if (hello.Node == self.Node)
        {
            return "this node called itself";
        }

        if (Volatile.Read(ref _served) >= WireLimits.MaxConnections)
        {
            return $"this node serves {WireLimits.MaxConnections} connections already";
        }

        return peers.BanOf(hello.Node) is { } reason ? $"this node has banned the caller: {reason}" : null;
    }
}
