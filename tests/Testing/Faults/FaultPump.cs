using System.Buffers;
using System.Diagnostics;
using System.Net.Sockets;
using System.Threading.Channels;

namespace P2PWeights.Testing.Faults;

/// <summary>
/// Moves the bytes of one direction of one connection, and does to them what the direction's line says. A reader takes bytes off one socket as they come, with
/// the time; a writer lets them wait, applies the fault and passes them on: so a delay does not slow the line down. At most <see cref="QueuedPieces"/> pieces
/// wait between the two.
/// </summary>
internal sealed class FaultPump(Socket from, Socket to, FaultDirection? direction, Action reset)
{
    private const int PieceBytes = 32 << 10;
    private const int QueuedPieces = 128;

    private readonly Channel<Piece> _queue = Channel.CreateBounded<Piece>(new BoundedChannelOptions(QueuedPieces) { SingleReader = true, SingleWriter = true });
    private FaultDirection.State? _seen;
    private long _passed;
    private bool _isDone;

    /// <summary>Runs until this direction has ended, one way or another.</summary>
    /// <returns>Whether the other direction goes on.</returns>
    public async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var reading = ReadAsync(stop.Token);
        try
        {
            return await WriteAsync(stop.Token);
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            reset();
            return false;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
        finally
        {
            await stop.CancelAsync();
            await reading;
            while (_queue.Reader.TryRead(out var piece))
            {
                ArrayPool<byte>.Shared.Return(piece.Bytes);
            }
        }
    }

    private async Task ReadAsync(CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            while (await from.ReceiveAsync(buffer.AsMemory(0, PieceBytes), SocketFlags.None, cancellationToken) is var count and > 0)
            {
                var piece = new Piece(buffer, count, Stopwatch.GetTimestamp());
                await _queue.Writer.WriteAsync(piece, cancellationToken);
                buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
            }

            _queue.Writer.Complete();
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException or OperationCanceledException)
        {
            // A sender that broke off is passed on as such: the writer fails with this behind the last piece.
            _queue.Writer.Complete(e is SocketException ? e : null);
        }

        ArrayPool<byte>.Shared.Return(buffer);
    }

    private async Task<bool> WriteAsync(CancellationToken cancellationToken)
    {
        Piece? piece = null;
        var offset = 0;
        while (true)
        {
            var state = Look();
            if (FaultIsDue(state.Line) && state.Line.Fault != FaultKind.Corrupt)
            {
                _isDone = true;
                direction!.Hit();
                if (await EndAsync(state, cancellationToken) is { } goesOn)
                {
                    return goesOn;
                }

                continue;
            }

            if (piece is null)
            {
                if (!await NextAsync(state, cancellationToken))
                {
                    to.Shutdown(SocketShutdown.Send);
                    return true;
                }

                offset = 0;
                piece = _queue.Reader.TryRead(out var next) ? next : null;
            }
            else
            {
                offset += await PassAsync(piece.Value, offset, state, cancellationToken);
                if (offset == piece.Value.Count)
                {
                    ArrayPool<byte>.Shared.Return(piece.Value.Bytes);
                    piece = null;
                }
            }
        }
    }

    /// <summary>The line of this moment; a new one counts its bytes from here.</summary>
    private FaultDirection.State Look()
    {
        var state = direction?.Current ?? Unharmed.State;
        if (!ReferenceEquals(state, _seen))
        {
            (_seen, _passed, _isDone) = (state, 0, false);
        }

        return state;
    }

    private bool FaultIsDue(FaultLine line) => line.Fault != FaultKind.None && !_isDone && _passed >= line.AfterBytes;

    /// <summary>Carries out a fault that ends something; null when the connection goes on after all.</summary>
    private async Task<bool?> EndAsync(FaultDirection.State state, CancellationToken cancellationToken)
    {
        switch (state.Line.Fault)
        {
            case FaultKind.Reset:
                reset();
                return false;
            case FaultKind.HalfClose:
                to.Shutdown(SocketShutdown.Send);
                return true;
            case FaultKind.Cut:
                to.Shutdown(SocketShutdown.Both);
                from.Shutdown(SocketShutdown.Both);
                return false;
            default:
                await state.Replaced.Task.WaitAsync(cancellationToken);
                return null;
        }
    }

    /// <summary>Waits for bytes, or for another line; false at the end of the bytes.</summary>
    private async Task<bool> NextAsync(FaultDirection.State state, CancellationToken cancellationToken)
    {
        var more = _queue.Reader.WaitToReadAsync(cancellationToken).AsTask();
        return await Task.WhenAny(more, state.Replaced.Task) != more || await more;
    }

    /// <summary>Passes on as much of the piece as the line lets through now; returns the bytes, 0 when the line changed meanwhile.</summary>
    private async Task<int> PassAsync(Piece piece, int offset, FaultDirection.State state, CancellationToken cancellationToken)
    {
        var line = state.Line;
        if (!await WaitAsync(line.Delay - Stopwatch.GetElapsedTime(piece.Came), state, cancellationToken))
        {
            return 0;
        }

        var count = piece.Count - offset;
        if (line.Fault != FaultKind.None && !_isDone)
        {
            if (_passed == line.AfterBytes)
            {
                _isDone = true;
                piece.Bytes[offset] ^= 0xFF;
                direction!.Hit();
            }
            else
            {
                count = (int)Math.Min(count, line.AfterBytes - _passed);
            }
        }

        if (line.BytesPerSecond > 0)
        {
            // A twentieth of a second at once, so that a slow line is slow and not bursty.
            count = (int)Math.Clamp(line.BytesPerSecond / 20, 1, count);
            await WaitAsync(direction!.Take(count, line.BytesPerSecond), state, cancellationToken);
        }

        for (var sent = 0; sent < count;)
        {
            sent += await to.SendAsync(piece.Bytes.AsMemory(offset + sent, count - sent), SocketFlags.None, cancellationToken);
        }

        _passed += count;
        direction?.Passed(count);
        return count;
    }

    /// <summary>False when the line changed before the time was over.</summary>
    private static async Task<bool> WaitAsync(TimeSpan time, FaultDirection.State state, CancellationToken cancellationToken) =>
        time <= TimeSpan.Zero || await Task.WhenAny(Task.Delay(time, cancellationToken), state.Replaced.Task) != state.Replaced.Task;

    private readonly record struct Piece(byte[] Bytes, int Count, long Came);

    /// <summary>What connections that are spared go by.</summary>
    private static class Unharmed
    {
        public static FaultDirection.State State { get; } = new(FaultLine.Clear);
    }
}
