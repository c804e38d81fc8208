using System.Diagnostics;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Syncing;

/// <summary>
/// Syncs of many peers at times that were drawn before: as many a second on average, whatever the tracker does (an open loop). Each latency counts from the moment at
/// which the sync was due, so that one which waits behind a slow one, or for this process, shows it. Whose lease has used up the most is next; peers that never
/// synced come as soon as nobody else has to.
/// </summary>
internal sealed class SyncLoad(IReadOnlyList<SyncConnection> connections, int rate, Random random)
{
    /// <summary>Syncs under way at which the tracker is said not to keep up: five seconds of the usual rate.</summary>
    private const int MostUnderWay = 5000;

    /// <summary>Part of its lease after which a peer must sync.</summary>
    private const double RenewAfter = 0.6;

    private readonly Lock _gate = new();
    private readonly PriorityQueue<SimulatedPeer, double> _waiting = new();
    private readonly Queue<SimulatedPeer> _fresh = new();
    private readonly long _started = Stopwatch.GetTimestamp();
    private readonly List<double> _latencies = [];
    private readonly List<double> _lateness = [];
    private long _sent;
    private long _received;
    private int _refused;
    private int _underWay;
    private Exception? _failure;

    /// <summary>Takes up a peer that has never synced.</summary>
    public void Add(SimulatedPeer peer) => _fresh.Enqueue(peer);

    /// <summary>Runs for so many syncs.</summary>
    /// <param name="gain">Shards that a peer gains between two of its syncs.</param>
    /// <param name="restarts">Part of the syncs that come from a node that just started again, 0 to 1.</param>
    /// <param name="tick">Called about once a second.</param>
    /// <exception cref="BenchException">The tracker failed or does not keep up.</exception>
    public async Task<SyncLatencies> RunAsync(int count, int gain, double restarts, Action tick, CancellationToken cancellationToken)
    {
        Clear();
        var tasks = new List<Task>(count);
        var (due, nextTick) = (Now, Now + 1);
        var began = due;
        while (tasks.Count < count && _failure is null && Volatile.Read(ref _underWay) < MostUnderWay)
        {
            cancellationToken.ThrowIfCancellationRequested();

            // Exponential pauses: arrivals of independent peers come in bunches.
            due += -Math.Log(1 - random.NextDouble()) / rate;
            SimulatedPeer? peer;
            while (Now < due || (peer = Next()) is null)
            {
                if (Now >= nextTick)
                {
                    nextTick++;
                    tick();
                }

                // Threads of the pool are left to the answers; a wait of this length is not exact, and the lateness says by how much.
                Thread.Sleep(TimeSpan.FromSeconds(Math.Clamp(due - Now, 0.0001, 0.001)));
            }

            _lateness.Add(1000 * (Now - due));
            Interlocked.Increment(ref _underWay);
            var (dueNow, isRestart) = (due, random.NextDouble() < restarts);
            tasks.Add(Task.Run(() => SyncAsync(peer, gain, isRestart, dueNow, cancellationToken), CancellationToken.None));
        }

        await Task.WhenAll(tasks);
        return _failure is null && _latencies.Count == count
            ? new SyncLatencies(_latencies, _lateness, Now - began, _refused, _sent, _received)
            : throw new BenchException($"after {_latencies.Count} of {count} syncs the tracker {(_failure is null ? $"was {MostUnderWay} behind" : "failed")}", _failure);
    }

    /// <summary>Seconds since this was made.</summary>
    private double Now => Stopwatch.GetElapsedTime(_started).TotalSeconds;

    private void Clear()
    {
        _latencies.Clear();
        _lateness.Clear();
        (_sent, _received, _refused) = (0, 0, 0);
    }

    /// <summary>Who syncs next; null when all syncs of all peers are under way.</summary>
    private SimulatedPeer? Next()
    {
        lock (_gate)
        {
            return _waiting.TryPeek(out _, out var renewal) && (renewal <= Now || _fresh.Count == 0) ? _waiting.Dequeue() : _fresh.TryDequeue(out var fresh) ? fresh : null;
        }
    }

    private async Task SyncAsync(SimulatedPeer peer, int gain, bool isRestart, double due, CancellationToken cancellationToken)
    {
        try
        {
            var (response, sent, received) = await connections[peer.Number % connections.Count].SyncAsync(peer.Next(gain, isRestart), cancellationToken);
            var now = Now;
            lock (_gate)
            {
                _latencies.Add(1000 * (now - due));
                _refused += peer.Take(response) ? 0 : 1;
                _sent += sent;
                _received += received;
                _waiting.Enqueue(peer, now + (RenewAfter * response.LeaseMs / 1000));
            }
        }
        catch (Exception e) when (e is HttpRequestException or BenchException)
        {
            _failure = e;
        }
        finally
        {
            Interlocked.Decrement(ref _underWay);
        }
    }
}
