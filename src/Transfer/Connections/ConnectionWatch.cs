using System.Collections.Concurrent;

namespace P2PWeights.Transfer.Connections;

/// <summary>Looks at the deadlines of all open connections a few times a second: one timer for thousands of connections. Also closes what is left at the end.</summary>
internal sealed class ConnectionWatch : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(250);

    private readonly ConcurrentDictionary<FrameConnection, byte> _connections = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _loop;

    public ConnectionWatch(TimeProvider time) => _loop = RunAsync(time);

    /// <summary>Watches a connection until the result is disposed, which also closes it.</summary>
    public IDisposable Add(FrameConnection connection)
    {
        _connections[connection] = 0;
        return new Entry(this, connection);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(false);
        foreach (var connection in _connections.Keys)
        {
            connection.Abort("this node stops");
        }

        _stop.Dispose();
    }

    private async Task RunAsync(TimeProvider time)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(_stop.Token).ConfigureAwait(false))
            {
                foreach (var connection in _connections.Keys)
                {
                    connection.CheckDeadlines();
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }

    private sealed class Entry(ConnectionWatch watch, FrameConnection connection) : IDisposable
    {
        public void Dispose()
        {
            watch._connections.TryRemove(connection, out _);
            connection.Dispose();
        }
    }
}
