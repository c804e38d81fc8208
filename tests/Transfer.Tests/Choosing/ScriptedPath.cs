using System.Collections.Concurrent;
using P2PWeights.Store;
using P2PWeights.Store.Content;

namespace P2PWeights.Transfer.Tests.Choosing;

/// <summary>A path under a real path's name that has a checkpoint's bytes itself, and does with a shard what the test says.</summary>
internal sealed class ScriptedPath(string name, TestCheckpoint checkpoint) : ITransferPath
{
    private int _opened;
    private int _asked;

    public string Name => name;

    /// <summary>Why the path does not reach the peer; null when it does.</summary>
    public string? Unreachable { get; set; }

    /// <summary>What becomes of a shard that is fetched; the number counts them from 1. By default it is there.</summary>
    public Func<int, ShardWrite, CancellationToken, Task<FetchOutcome>>? OnFetch { get; set; }

    /// <summary>What becomes of a shard that is to be adopted. By default it is not.</summary>
    public Func<ShardInfo, CancellationToken, Task<FetchOutcome>>? OnAdopt { get; set; }

    /// <summary>Reasons of losses that fail no fetch, not taken yet.</summary>
    public ConcurrentQueue<string> Losses { get; } = new();

    /// <summary>Channels opened so far.</summary>
    public int Opened => Volatile.Read(ref _opened);

    /// <summary>Shards fetched by it so far, whatever became of them.</summary>
    public int Asked => Volatile.Read(ref _asked);

    public ValueTask<PathOpening> OpenAsync(PeerSession peer, CancellationToken cancellationToken)
    {
        if (Unreachable is { } reason)
        {
            return ValueTask.FromResult(PathOpening.Unreachable(reason));
        }

        Interlocked.Increment(ref _opened);
        return ValueTask.FromResult(PathOpening.Open(new Channel(this)));
    }

    /// <summary>Gives the shard its bytes.</summary>
    public FetchOutcome Fill(ShardWrite write)
    {
        checkpoint.Bytes[checkpoint.Manifest.Shards.IndexOf(write.Shard)].CopyTo(write.Buffer);
        return new FetchOutcome(FetchStatus.Ok);
    }

    /// <summary>Gives the shard its bytes, the last one wrong.</summary>
    public FetchOutcome FillWrongly(ShardWrite write)
    {
        Fill(write);
        write.Buffer.Span[^1] ^= 1;
        return new FetchOutcome(FetchStatus.Ok);
    }

    private sealed class Channel(ScriptedPath path) : IPathChannel
    {
        public async ValueTask<FetchOutcome> AdoptAsync(ShardInfo shard, ShardTarget target, Action<int> received, CancellationToken cancellationToken) =>
            path.OnAdopt is { } adopt ? await adopt(shard, cancellationToken) : new FetchOutcome(FetchStatus.NotAdopted);

        public async ValueTask<FetchOutcome> FetchAsync(ShardWrite write, Action<int> received, CancellationToken cancellationToken)
        {
            var count = Interlocked.Increment(ref path._asked);
            var outcome = path.OnFetch is { } fetch ? await fetch(count, write, cancellationToken) : path.Fill(write);
            if (outcome.Status == FetchStatus.Ok)
            {
                received(write.Shard.Size);
            }

            return outcome;
        }

        public string? TakeLoss() => path.Losses.TryDequeue(out var reason) ? reason : null;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
