using System.Net.Sockets;
using P2PWeights.Native.Posix;

namespace P2PWeights.Client.Engines.Zmtp;

/// <summary>The other end of a <see cref="ZmtpConnection"/>: a REP socket that connects, for an engine of our own. Messages of one frame, strictly in turn, the peer's first.</summary>
/// <remarks>Failures: <see cref="IOException"/> when the connection ended or cannot be made, <see cref="InvalidDataException"/> when the peer broke the protocol.</remarks>
internal sealed class ZmtpReplier : IAsyncDisposable
{
    private const string Scheme = "ipc://@";

    // A bucket of thousands of tensors, some hundred bytes each.
    private const int MaxMessageBytes = 64 << 20;

    private readonly NetworkStream _stream;

    private ZmtpReplier(NetworkStream stream) => _stream = stream;

    /// <param name="address">As <see cref="ZmtpListener.Address"/> writes it.</param>
    public static async Task<ZmtpReplier> ConnectAsync(string address, CancellationToken cancellationToken)
    {
        if (!address.StartsWith(Scheme, StringComparison.Ordinal))
        {
            throw new InvalidDataException($"{EngineText.Clean(address)} is not an address of the form {Scheme}NAME");
        }

        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            await socket.ConnectAsync(new UnixDomainSocketEndPoint($"\0{address[Scheme.Length..]}"), cancellationToken).ConfigureAwait(false);
            if (!SocketPeer.IsOfOwnUser(socket, out var user))
            {
                throw new IOException($"the node is a process of user {user}; engine and node must be of one user");
            }

            var replier = new ZmtpReplier(new NetworkStream(socket, ownsSocket: true));
            await replier.GreetAsync(cancellationToken).ConfigureAwait(false);
            return replier;
        }
        catch (Exception failure)
        {
            socket.Dispose();
            throw failure is SocketException ? new IOException($"the node does not listen at {address}: {failure.Message}", failure) : failure;
        }
    }

    /// <summary>The peer's next message.</summary>
    public async Task<byte[]> ReceiveAsync(CancellationToken cancellationToken)
    {
        var inMessage = false;
        while (true)
        {
            var (flags, body) = await ZmtpConnection.ReadFrameAsync(_stream, MaxMessageBytes, cancellationToken).ConfigureAwait(false);
            if ((flags & ZmtpCodec.Command) != 0)
            {
                await _stream.WriteAsync(ZmtpCodec.Answer(body), cancellationToken).ConfigureAwait(false);
            }
            else if (inMessage)
            {
                return (flags & ZmtpCodec.More) == 0 ? body : throw new InvalidDataException("a message has more than one frame");
            }
            else
            {
                inMessage = body.Length == 0 && (flags & ZmtpCodec.More) != 0 ? true : throw new InvalidDataException("a message does not start with an empty frame");
            }
        }
    }

    /// <summary>Answers the message that was received last.</summary>
    public async Task ReplyAsync(ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var header = new byte[2 + ZmtpCodec.MaxHeaderBytes];
        header[0] = ZmtpCodec.More;
        var length = 2 + ZmtpCodec.WriteHeader(header.AsSpan(2), 0, body.Length);
        await _stream.WriteAsync(header.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
        await _stream.WriteAsync(body, cancellationToken).ConfigureAwait(false);
    }

    public ValueTask DisposeAsync() => _stream.DisposeAsync();

    private async Task GreetAsync(CancellationToken cancellationToken)
    {
        await _stream.WriteAsync((byte[])[.. ZmtpCodec.Greeting, .. ZmtpCodec.ReadyToReply], cancellationToken).ConfigureAwait(false);
        var greeting = new byte[ZmtpCodec.GreetingBytes];
        await _stream.ReadExactlyAsync(greeting, cancellationToken).ConfigureAwait(false);
        ZmtpCodec.CheckGreeting(greeting);
        var (flags, ready) = await ZmtpConnection.ReadFrameAsync(_stream, ZmtpCodec.MaxCommandBytes, cancellationToken).ConfigureAwait(false);
        ZmtpCodec.CheckReady((flags & ZmtpCodec.Command) != 0 ? ready : throw new InvalidDataException("it sent a message before its READY"), "REQ"u8, "DEALER"u8);
    }
}
