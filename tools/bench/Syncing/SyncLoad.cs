using System.Diagnostics;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Syncing;

/// <summary>
/// Syncs of many peers, in turn, at times that were drawn before: as many a second on average, whatever the tracker does (an open loop). Each latency counts from the moment at
/// which the sync was due, so that one which waits behind a slow one, or for this process, shows it.
/// </summary>
internal sealed class SyncLoad(IReadOnlyList<SimulatedPeer> peers, IReadOnlyList<SyncConnection> connections, int rate, Random random)
{
    /// <summary>Syncs under way at which the tracker is said not to keep up: five seconds of the usual rate.</summary>
    private const int MostUnderWay = 5000;

    private readonly Lock _gate = new();
    private readonly List<double> _latencies = [];
    private readonly List<double> _lateness = [];
    private long _sent;
    private long _received;
    private int _refused;
    private int _underWay;
    private Exception? _failure;

    /// <summary>Runs for so many syncs.</summary>
    /// <param name="gain">Shards that a peer gains between two of its syncs.</param>
    /// <param name="restarts">Part of the syncs that come from a node that just started again, 0 to 1.</param>
    /// <param name="tick">Called about once a second.</param>
    /// <exception cref="BenchException">The tracker failed or does not keep up.</exception>
    public async Task<SyncLatencies> RunAsync(int count, int gain, double restarts, Action tick, CancellationToken cancellationToken)
    {
        var tasks = new List<Task>(count);
        var started = Stopwatch.GetTimestamp();
        var (due, nextTick) = (0.0, 1.0);
        for (var i = 0; i < count; i++)
        {
            // Exponential pauses: arrivals of independent peers come in bunches.
            due += -Math.Log(1 - random.NextDouble()) / rate;
            while (Stopwatch.GetElapsedTime(started).TotalSeconds is var now && now < due)
            {
                if (now >= nextTick)
                {
                    nextTick++;
                    tick();
                }

                // Threads of the pool are left to the answers; a wait of this length is not exact, and the lateness says by how much.
                Thread.Sleep(TimeSpan.FromSeconds(Math.Min(due - now, 0.001)));
            }

            cancellationToken.ThrowIfCancellationRequested();
            if (_failure is not null || Volatile.Read(ref _underWay) > MostUnderWay)
            {
                break;
            }

            var dueAt = started + (long)(due * Stopwatch.Frequency);
            _lateness.Add(Milliseconds(dueAt));
            Interlocked.Increment(ref _underWay);
            var (index, isRestart) = (i % peers.Count, random.NextDouble() < restarts);
            tasks.Add(Task.Run(() => SyncAsync(index, gain, isRestart, dueAt, cancellationToken), CancellationToken.None));
        }

        await Task.WhenAll(tasks);
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        return _failure is null && _latencies.Count == count
            ? new SyncLatencies(_latencies, _lateness, seconds, _refused, _sent, _received)
            : throw new BenchException($"after {_latencies.Count} of {count} syncs the tracker {(_failure is null ? $"was {MostUnderWay} behind" : "failed")}", _failure);
    }

    private async Task SyncAsync(int index, int gain, bool isRestart, long dueAt, CancellationToken cancellationToken)
    {
        var peer = peers[index];
        await peer.Turn.WaitAsync(cancellationToken);
        try
        {
            var (response, sent, received) = await connections[index % connections.Count].SyncAsync(peer.Next(gain, isRestart), cancellationToken);
            lock (_gate)
            {
                _latencies.Add(Milliseconds(dueAt));
                _refused += peer.Take(response) ? 0 : 1;
                _sent += sent;
                _received += received;
            }
        }
        catch (Exception e) when (e is HttpRequestException or BenchException)
        {
            _failure = e;
        }
        finally
        {
            Interlocked.Decrement(ref _underWay);
            peer.Turn.Release();
        }
    }

    private static double Milliseconds(long since) => Stopwatch.GetElapsedTime(since).TotalMilliseconds;
}
