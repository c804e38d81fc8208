using System.Net.Sockets;
using System.Security.Cryptography;
using P2PWeights.Native.Posix;

namespace P2PWeights.Client.Engines.Zmtp;

/// <summary>
/// The bound end of one <c>ipc://@NAME</c> address: a Unix socket in the abstract name space of the network name space, gone with the process. The first
/// process of our user that connects and greets properly gets the connection.
/// </summary>
internal sealed class ZmtpListener : IDisposable
{
    /// <summary>For the greeting of one that has connected; others wait behind it.</summary>
    private static readonly TimeSpan GreetingTimeout = TimeSpan.FromSeconds(5);

    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);

    /// <param name="name">Part of the name that people recognise; a number that nobody can guess follows.</param>
    public ZmtpListener(string name)
    {
        var unique = $"p2pweights-{name}-{RandomNumberGenerator.GetHexString(16, lowercase: true)}.sock";
        Address = $"ipc://@{unique}";
        try
        {
            // libzmq takes the name without a NUL at its end, and so does .NET.
            _socket.Bind(new UnixDomainSocketEndPoint($"\0{unique}"));
            _socket.Listen(4);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
    }

    /// <summary>As libzmq writes it.</summary>
    public string Address { get; }

    /// <summary>What was wrong with the last one that connected and was turned away; null when none was.</summary>
    public string? LastRefusal { get; private set; }

    /// <summary>Waits for the peer.</summary>
    public async Task<ZmtpConnection> AcceptAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var socket = await _socket.AcceptAsync(cancellationToken).ConfigureAwait(false);
            using var greeting = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            greeting.CancelAfter(GreetingTimeout);
            try
            {
                var stream = new NetworkStream(socket, ownsSocket: true);
                if (!SocketPeer.IsOfOwnUser(socket, out var user))
                {
                    await stream.DisposeAsync().ConfigureAwait(false);
                    LastRefusal = $"a process of user {user} connected; engine and node must be of one user";
                    continue;
                }

                return await ZmtpConnection.OpenAsync(stream, greeting.Token).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or InvalidDataException or SocketException or OperationCanceledException && !cancellationToken.IsCancellationRequested)
            {
                LastRefusal = e switch
                {
                    OperationCanceledException => "a process connected and said nothing",
                    InvalidDataException => $"a process connected, but {e.Message}",
                    _ => "a process connected, but it went away before it was greeted",
                };
            }
        }
    }

    public void Dispose() => _socket.Dispose();
}
