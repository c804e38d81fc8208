using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using P2PWeights.Native;
using P2PWeights.Native.Posix;
using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer.Connections;

/// <summary>
/// One TCP connection that carries frames. One reader and one writer at a time. Whatever ends it (the peer, the network, a passed deadline, <see cref="Abort"/>)
/// is an <see cref="IOException"/> with the reason, at the reader and at the writer. Deadlines are numbers that a <see cref="ConnectionWatch"/> looks at, so
/// that a receive costs no timer.
/// </summary>
internal sealed class FrameConnection : IDisposable
{
    private const int Never = 0;

    private readonly Socket _socket;
    private readonly TimeProvider _time;
    private readonly byte[] _header = GC.AllocateArray<byte>(FrameHeader.Size, pinned: true);
    private byte[] _control = [];
    private long _readDeadline;
    private long _sendDeadline;
    private string? _aborted;

    public FrameConnection(Socket socket, TimeProvider time)
    {
        _socket = socket;
        _time = time;
        _socket.NoDelay = true;
        Remote = socket.RemoteEndPoint?.ToString() ?? "?";
        RemoteAddress = (socket.RemoteEndPoint as IPEndPoint)?.Address ?? IPAddress.None;
        IsOfThisHost = RemoteAddress.Equals((socket.LocalEndPoint as IPEndPoint)?.Address);
    }

    /// <summary>Address of the other end.</summary>
    public string Remote { get; }

    /// <summary>The same without the port.</summary>
    public IPAddress RemoteAddress { get; }

    /// <summary>Whether both ends have one address: whoever calls its own host's address calls from it.</summary>
    public bool IsOfThisHost { get; }

    public Socket Socket => _socket;

    /// <summary>Round trip to the other end, see <see cref="TcpInfo.RoundTrip"/>; asks the kernel each time.</summary>
    public TimeSpan? RoundTrip => TcpInfo.RoundTrip(_socket);

    /// <summary>Longest wait for the first byte of a frame; infinite until set.</summary>
    public TimeSpan IdleTimeout { get; set; } = Timeout.InfiniteTimeSpan;

    /// <summary>Longest wait for the next byte inside a frame.</summary>
    public TimeSpan FrameTimeout { get; set; } = WireLimits.FrameTimeout;

    /// <summary>Starts the wait for the next frame anew, when the reader is in one: from now on an answer is due.</summary>
    public void ExpectFrame(TimeSpan within) => Arm(ref _readDeadline, within);

    /// <summary>Reads the next header.</summary>
    /// <exception cref="IOException">The connection ended.</exception>
    /// <exception cref="TransferException">The bytes are no header.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<FrameHeader> ReadHeaderAsync(CancellationToken cancellationToken)
    {
        Arm(ref _readDeadline, IdleTimeout);
        var have = 0;
        while (have < FrameHeader.Size)
        {
            have += await ReceiveAsync(_header.AsMemory(have), cancellationToken).ConfigureAwait(false);
            Arm(ref _readDeadline, FrameTimeout);
        }

        Disarm(ref _readDeadline);
        return FrameHeader.TryRead(_header, out var header, out var problem)
            ? header
            : throw FrameCodec.Violation($"{Remote}: {problem}");
    }

    /// <summary>Reads the payload of a control frame. The bytes stay valid until the next call.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<ReadOnlyMemory<byte>> ReadControlAsync(FrameHeader header, CancellationToken cancellationToken)
    {
        if (header.Length > WireLimits.MaxControlBytes)
        {
            throw FrameCodec.Violation($"{Remote}: a {header.Type} frame of {header.Length} bytes was not asked for");
        }

        if (_control.Length < header.Length)
        {
            _control = new byte[header.Length];
        }

        var payload = _control.AsMemory(0, header.Length);
        for (var rest = payload; rest.Length > 0;)
        {
            rest = rest[await ReadSomeAsync(rest, cancellationToken).ConfigureAwait(false)..];
        }

        return payload;
    }

    /// <summary>Reads the next bytes of a payload, at least one.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public async ValueTask<int> ReadSomeAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        Arm(ref _readDeadline, FrameTimeout);
        var count = await ReceiveAsync(destination, cancellationToken).ConfigureAwait(false);
        Disarm(ref _readDeadline);
        return count;
    }

    /// <summary>Sends all bytes.</summary>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        Arm(ref _sendDeadline, WireLimits.SendTimeout);
        try
        {
            while (bytes.Length > 0)
            {
                bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, cancellationToken).ConfigureAwait(false)..];
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Lost(e);
        }

        Disarm(ref _sendDeadline);
    }

    /// <summary>Sends bytes of a file as <see cref="SocketFile.TrySend"/> does, once something has been sent or received on this connection.</summary>
    /// <exception cref="IOException">The connection ended, or the file cannot be read.</exception>
    public int? TrySendFile(SafeFileHandle file, long offset, int count)
    {
        try
        {
            return SocketFile.TrySend(_socket.SafeHandle, file, offset, count);
        }
        catch (Exception e) when (e is NativeException or ObjectDisposedException)
        {
            throw Lost(e);
        }
    }

    /// <summary>Runs a reader and a writer until one of them ends, then ends the connection and the other; fails like the one that ended first.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> read, Func<CancellationToken, Task> send, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reading = read(stop.Token);
        var sending = send(stop.Token);
        var first = await Task.WhenAny(reading, sending).ConfigureAwait(false);
        await stop.CancelAsync().ConfigureAwait(false);
        Abort("the lane was closed");
        await Task.WhenAll(reading, sending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await first.ConfigureAwait(false);
    }

    /// <summary>Ends the connection; the first reason given is the one reported.</summary>
    public void Abort(string reason)
    {
        Interlocked.CompareExchange(ref _aborted, reason, null);
        _socket.Dispose();
    }

    /// <summary>Aborts when a deadline has passed.</summary>
    public void CheckDeadlines()
    {
        var now = _time.GetTimestamp();
        if (Volatile.Read(ref _readDeadline) is var read and not Never && now > read)
        {
            Abort("nothing came in time");
        }
        else if (Volatile.Read(ref _sendDeadline) is var send and not Never && now > send)
        {
            Abort("it does not read what is sent");
        }
    }

    /// <summary>The exception for a failed use of the socket.</summary>
    public IOException Lost(Exception? cause) =>
        new($"{Remote}: {Volatile.Read(ref _aborted) ?? cause?.Message ?? "the peer closed the connection"}", cause);

    public void Dispose() => _socket.Dispose();

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private async ValueTask<int> ReceiveAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        try
        {
            var count = await _socket.ReceiveAsync(destination, SocketFlags.None, cancellationToken).ConfigureAwait(false);
            return count > 0 ? count : throw Lost(null);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            throw Lost(e);
        }
    }

    private void Arm(ref long deadline, TimeSpan within) =>
        Volatile.Write(ref deadline, within == Timeout.InfiniteTimeSpan
            ? Never
            : _time.GetTimestamp() + (long)(within.TotalSeconds * _time.TimestampFrequency));

    private static void Disarm(ref long deadline) => Volatile.Write(ref deadline, Never);
}
