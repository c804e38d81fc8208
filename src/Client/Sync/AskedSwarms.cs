using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Sync;

/// <summary>
/// Enters swarms that peers ask about: the tracker names this node to newcomers of a version that shares shards with what it holds. The manifest is fetched by its digest, and if shards of it are held
/// here, the node enters and serves them. One loop, one manifest at a time; questions beyond a few waiting ones are dropped, for the peers ask again.
/// </summary>
internal sealed class AskedSwarms : IAsyncDisposable
{
    /// <summary>Swarms entered for others at a time; the one entered first is left for another.</summary>
    internal const int MostEntered = 64;

    /// <summary>Digests that were of no use, remembered so that nobody can make this node ask the tracker for them again and again.</summary>
    private const int MostUseless = 256;
    private const int MostWaiting = 16;

    private readonly ShardStore _store;
    private readonly TransferService _transfer;
    private readonly TrackerClient _tracker;
    private readonly TrackerSync _sync;
    private readonly ILogger _log;
    private readonly Channel<Digest> _asked = Channel.CreateBounded<Digest>(new BoundedChannelOptions(MostWaiting) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly Queue<Digest> _entered = new();
    private readonly Queue<Digest> _useless = new();
    private readonly CancellationTokenSource _stop = new();
    private Task _loop = Task.CompletedTask;

    public AskedSwarms(ShardStore store, TransferService transfer, TrackerClient tracker, TrackerSync sync, ILogger log) =>
        (_store, _transfer, _tracker, _sync, _log) = (store, transfer, tracker, sync, log);

    public void Start()
    {
        _transfer.UnknownSwarmAsked += Ask;
        _loop = RunAsync(_stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        _transfer.UnknownSwarmAsked -= Ask;
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    /// <summary>A peer asked about a swarm that this node is not in. Does not block.</summary>
    internal void Ask(Digest manifest) => _asked.Writer.TryWrite(manifest);

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        await foreach (var digest in _asked.Reader.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            if (_transfer.Joined(digest) is not null || _useless.Contains(digest))
            {
                continue;
            }

            try
            {
                var manifest = await _tracker.GetManifestAsync(digest, cancellationToken).ConfigureAwait(false);
                if (manifest is not null && manifest.Shards.Any(shard => _store.Contains(shard.Digest)))
                {
                    Enter(manifest);
                }
                else
                {
                    Remember(_useless, digest, MostUseless, _ => { });
                }
            }
            catch (TrackerException e)
            {
                // Nothing is lost: the peer pulls from others, and asks again when it connects anew.
                NodeLog.AskedSwarmNotEntered(_log, digest, e.Message);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                // One manifest that makes trouble keeps this node from no other.
                NodeLog.AskedSwarmBroke(_log, digest, e);
            }
        }
    }

    private void Enter(Manifest manifest)
    {
        _transfer.Join(manifest);
        _sync.Entered(manifest.Digest);
        NodeLog.AskedSwarmEntered(_log, manifest.Digest);

        // One that a pull or a publication keeps is this node's own by now.
        Remember(_entered, manifest.Digest, MostEntered, oldest =>
        {
            if (_store.FindManifest(oldest) is null)
            {
                _transfer.Leave(oldest);
            }
        });
    }

    private static void Remember(Queue<Digest> queue, Digest digest, int most, Action<Digest> forget)
    {
        queue.Enqueue(digest);
        if (queue.Count > most)
        {
            forget(queue.Dequeue());
        }
    }
}
