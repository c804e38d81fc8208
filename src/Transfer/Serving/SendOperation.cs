using System.Net.Sockets;
using System.Threading.Tasks.Sources;

namespace P2PWeights.Transfer.Serving;

/// <summary><see cref="Socket.SendPacketsAsync"/> as an awaitable, reused from call to call. On Linux the runtime carries it out with sendfile(2).</summary>
internal sealed class SendOperation : SocketAsyncEventArgs, IValueTaskSource<long>
{
    private ManualResetValueTaskSourceCore<long> _core = new() { RunContinuationsAsynchronously = true };

    /// <summary>Sends one element; one call at a time.</summary>
    /// <returns>Bytes sent: fewer than the element has when its file ended early.</returns>
    /// <exception cref="SocketException">The connection ended.</exception>
    public ValueTask<long> SendAsync(Socket socket, SendPacketsElement element)
    {
        _core.Reset();
        SendPacketsElements = [element];
        if (!socket.SendPacketsAsync(this))
        {
            OnCompleted(this);
        }

        return new ValueTask<long>(this, _core.Version);
    }

    public long GetResult(short token) => _core.GetResult(token);

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    protected override void OnCompleted(SocketAsyncEventArgs e)
    {
        if (SocketError == SocketError.Success)
        {
            _core.SetResult(BytesTransferred);
        }
        else
        {
            _core.SetException(new SocketException((int)SocketError));
        }
    }
}
