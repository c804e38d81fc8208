using System.Threading.Channels;

namespace P2PWeights.Client.Engines.Zmtp;

/// <summary>
/// A REQ socket with one peer: messages of one frame, strictly in turn, ours first. One loop reads for as long as the connection lives, so that the peer's
/// PINGs are answered and its end is noticed while nothing is asked; one caller sends and receives.
/// </summary>
/// <remarks>
/// Failures: <see cref="IOException"/> when the connection ended, <see cref="InvalidDataException"/> when the peer broke the protocol. After a failure or a
/// cancelled send the connection is of no use. <see cref="DisposeAsync"/> closes it and waits for the loop.
/// </remarks>
internal sealed class ZmtpConnection : IAsyncDisposable
{
    /// <summary>Longest message that is taken: replies are empty, or text of an error.</summary>
    public const int MaxReplyBytes = 1 << 20;

    private readonly Stream _stream;
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly Channel<byte[]> _replies = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(1) { SingleReader = true, SingleWriter = true });
    private readonly byte[] _header = new byte[2 + ZmtpCodec.MaxHeaderBytes];
    private readonly Task _reading;
    private int _outstanding;

    private ZmtpConnection(Stream stream)
    {
        _stream = stream;
        _reading = ReadAllAsync();
    }

    /// <summary>True until the answer to our last message has come in.</summary>
    public bool IsWaiting => Volatile.Read(ref _outstanding) != 0;

    /// <summary>Greets the peer and checks that it is a REP socket.</summary>
    /// <param name="stream">Owned by the connection from here on, also when this fails.</param>
    public static async Task<ZmtpConnection> OpenAsync(Stream stream, CancellationToken cancellationToken)
    {
        try
        {
            await stream.WriteAsync((byte[])[.. ZmtpCodec.Greeting, .. ZmtpCodec.Ready], cancellationToken).ConfigureAwait(false);
            var greeting = new byte[ZmtpCodec.GreetingBytes];
            await stream.ReadExactlyAsync(greeting, cancellationToken).ConfigureAwait(false);
            ZmtpCodec.CheckGreeting(greeting);
            var (flags, ready) = await ReadFrameAsync(stream, ZmtpCodec.MaxCommandBytes, cancellationToken).ConfigureAwait(false);
            if ((flags & ZmtpCodec.Command) == 0)
            {
                throw new InvalidDataException("it sent a message before its READY");
            }

            ZmtpCodec.CheckReady(ready, "REP"u8, "ROUTER"u8);
            return new ZmtpConnection(stream);
        }
        catch
        {
            await stream.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Sends a message; the answer to the one before must have been received.</summary>
    public async Task SendAsync(ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        if (_reading.IsCompleted)
        {
            await _reading.ConfigureAwait(false);
        }

        if (Interlocked.Exchange(ref _outstanding, 1) != 0)
        {
            throw new InvalidOperationException("a message was sent before the answer to the last one");
        }

        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // The empty frame stands for the way back (RFC 28, REQ).
            _header[0] = ZmtpCodec.More;
            _header[1] = 0;
            var header = 2 + ZmtpCodec.WriteHeader(_header.AsSpan(2), 0, body.Length);
            await _stream.WriteAsync(_header.AsMemory(0, header), cancellationToken).ConfigureAwait(false);
            await _stream.WriteAsync(body, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>The answer to the message that was sent. May be cancelled and asked for again.</summary>
    public async Task<byte[]> ReceiveAsync(CancellationToken cancellationToken)
    {
        try
        {
            return await _replies.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        }
        catch (ChannelClosedException)
        {
            await _reading.ConfigureAwait(false);
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync().ConfigureAwait(false);
        await _reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _writing.Dispose();
    }

    /// <param name="limit">Most bytes of a frame that is no command.</param>
    public static async Task<(byte Flags, byte[] Body)> ReadFrameAsync(Stream stream, int limit, CancellationToken cancellationToken)
    {
        var header = new byte[ZmtpCodec.MaxHeaderBytes];
        await stream.ReadExactlyAsync(header.AsMemory(0, 1), cancellationToken).ConfigureAwait(false);
        var length = header.AsMemory(1, ZmtpCodec.LengthBytes(header[0]));
        await stream.ReadExactlyAsync(length, cancellationToken).ConfigureAwait(false);
        var body = new byte[ZmtpCodec.CheckLength(length.Span, (header[0] & ZmtpCodec.Command) != 0 ? ZmtpCodec.MaxCommandBytes : limit)];
        await stream.ReadExactlyAsync(body, cancellationToken).ConfigureAwait(false);
        return (header[0], body);
    }

    /// <summary>Never completes without an exception: a connection that ends is a failure of whoever still waits.</summary>
    private async Task ReadAllAsync()
    {
        try
        {
            while (true)
            {
                var reply = await ReadReplyAsync().ConfigureAwait(false);
                if (Interlocked.Exchange(ref _outstanding, 0) == 0 || !_replies.Writer.TryWrite(reply))
                {
                    throw new InvalidDataException("it sent an answer to nothing");
                }
            }
        }
        catch (Exception e) when (e is ObjectDisposedException or EndOfStreamException)
        {
            _replies.Writer.TryComplete();
            throw new IOException("the connection was closed", e);
        }
        catch
        {
            _replies.Writer.TryComplete();
            throw;
        }
    }

    /// <summary>A message: an empty frame, and one with the answer.</summary>
    private async Task<byte[]> ReadReplyAsync()
    {
        var inMessage = false;
        while (true)
        {
            var (flags, body) = await ReadFrameAsync(_stream, MaxReplyBytes, CancellationToken.None).ConfigureAwait(false);
            if ((flags & ZmtpCodec.Command) != 0)
            {
                await AnswerAsync(body).ConfigureAwait(false);
            }
            else if (!inMessage)
            {
                if (body.Length != 0 || (flags & ZmtpCodec.More) == 0)
                {
                    throw new InvalidDataException("a message does not start with an empty frame");
                }

                inMessage = true;
            }
            else
            {
                return (flags & ZmtpCodec.More) == 0 ? body : throw new InvalidDataException("an answer has more than one frame");
            }
        }
    }

    private async Task AnswerAsync(byte[] command)
    {
        if (ZmtpCodec.Answer(command) is { } answer)
        {
            await _writing.WaitAsync().ConfigureAwait(false);
            try
            {
                await _stream.WriteAsync(answer).ConfigureAwait(false);
            }
            finally
            {
                _writing.Release();
            }
        }
    }
}
