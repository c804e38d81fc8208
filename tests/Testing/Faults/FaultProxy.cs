using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace P2PWeights.Testing.Faults;

/// <summary>
/// A TCP proxy on loopback that stands for a bad network: it passes connections on to a target and delays, throttles, corrupts, holds or breaks them as its two
/// lines say. Lines may be changed at any time. Its text (<see cref="ToString"/>, for assertion messages) says what it did and with which seed.
/// One task per connection; disposing resets all of them and awaits them.
/// </summary>
public sealed class FaultProxy : IAsyncDisposable
{
    private const int MaxConnections = 1024;

    /// <summary>Little, so that what a line holds back stays with the sender: kernel buffers would swallow whole shards.</summary>
    private const int SocketBufferBytes = 256 << 10;

    private readonly IPEndPoint _target;
    private readonly Seeded _seeded;
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource _stop = new();
    private readonly ConcurrentDictionary<Task, byte> _running = new();
    private readonly Task _accepting;
    private int _connections;

    /// <param name="target">Where connections are passed on to.</param>
    /// <param name="seeded">Where drawn offsets come from; one of its own when null.</param>
    public FaultProxy(IPEndPoint target, Seeded? seeded = null)
    {
        _target = target;
        _seeded = seeded ?? new Seeded();
        _listener.ReceiveBufferSize = SocketBufferBytes;
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen();
        EndPoint = (IPEndPoint)_listener.LocalEndPoint!;
        _accepting = AcceptAsync();
    }

    /// <summary>Where it listens.</summary>
    public IPEndPoint EndPoint { get; }

    /// <summary>From who called towards the target.</summary>
    public FaultDirection ToTarget { get; } = new();

    /// <summary>From the target towards who called.</summary>
    public FaultDirection ToCaller { get; } = new();

    /// <summary>The first so many connections stay unharmed and uncounted: with 1, a session's control lane works while its payload suffers.</summary>
    public int SparedConnections { get; init; }

    /// <summary>Connections taken since the start.</summary>
    public int Connections => Volatile.Read(ref _connections);

    /// <summary>A line on which one of the next bytes of each connection, drawn by the seed, is corrupted.</summary>
    /// <param name="within">The byte is among so many.</param>
    public FaultLine CorruptWithin(long within) => new() { Fault = FaultKind.Corrupt, AfterBytes = _seeded.Random.NextInt64(within) };

    /// <summary>Waits until the fault of a line has happened so many times.</summary>
    /// <exception cref="TimeoutException">It has not within half a minute.</exception>
    public async Task HitAsync(FaultDirection direction, int times = 1)
    {
        for (var i = 0; direction.Hits < times; i++)
        {
            if (i == 6000)
            {
                throw new TimeoutException($"the fault did not happen within 30 s: {this}");
            }

            await Task.Delay(5);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Dispose();
        await _accepting;
        await Task.WhenAll(_running.Keys);
        _stop.Dispose();
    }

    public override string ToString() =>
        $"fault proxy {EndPoint} -> {_target}, {Connections} connections ({SparedConnections} spared); to target: {Describe(ToTarget)}; to caller: {Describe(ToCaller)}; {_seeded}";

    private static string Describe(FaultDirection direction)
    {
        var line = direction.Line;
        return $"{direction.Bytes} bytes, {direction.Hits} faults, delay {line.Delay.TotalMilliseconds} ms, {line.BytesPerSecond} B/s, {line.Fault} after {line.AfterBytes}";
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var caller = await _listener.AcceptAsync(_stop.Token);
                if (_running.Count >= MaxConnections)
                {
                    caller.Dispose();
                    continue;
                }

                var isSpared = Interlocked.Increment(ref _connections) <= SparedConnections;
                var running = Task.Run(() => PassAsync(caller, isSpared));
                _running[running] = 0;
                _ = running.ContinueWith(ended => _running.TryRemove(ended, out _), TaskScheduler.Default);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException or SocketException)
        {
        }
    }

    private async Task PassAsync(Socket caller, bool isSpared)
    {
        using var target = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveBufferSize = SocketBufferBytes };
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(_stop.Token);
        using (caller)
        {
            try
            {
                (caller.NoDelay, target.NoDelay) = (true, true);
                await target.ConnectAsync(_target, stop.Token);
                var pumps = new[]
                {
                    EndAsync(new FaultPump(caller, target, isSpared ? null : ToTarget, Reset)),
                    EndAsync(new FaultPump(target, caller, isSpared ? null : ToCaller, Reset)),
                };
                await Task.WhenAll(pumps);
                if (_stop.IsCancellationRequested)
                {
                    Reset();
                }
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The target does not answer, or the proxy goes away: the caller sees a broken connection.
                Reset();
            }
        }

        async Task EndAsync(FaultPump pump)
        {
            if (!await pump.RunAsync(stop.Token))
            {
                await stop.CancelAsync();
            }
        }

        // An abortive close, RFC 9293 section 3.10.4: with a linger time of 0 the socket sends RST instead of FIN.
        void Reset()
        {
            foreach (var socket in (Socket[])[caller, target])
            {
                try
                {
                    socket.LingerState = new LingerOption(true, 0);
                }
                catch (Exception e) when (e is SocketException or ObjectDisposedException)
                {
                    // It is closed already.
                }

                socket.Dispose();
            }
        }
    }
}
