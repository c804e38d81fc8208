using P2PWeights.Store.Content;
using P2PWeights.Transfer.Choosing;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Swarms;
using Polly;
using Polly.Retry;

namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// One peer as a source of one pull: keeps a session with it up, and tells the pull's loop what it holds. The properties belong to that loop; the bytes
/// received are counted by whoever receives them.
/// </summary>
internal sealed class PullSource(PeerInfo known, PullContext context, int shards)
{
    private static readonly TimeSpan FirstRetry = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(5);

    private readonly SourcePath[] _paths = SourcePath.All(context, context.Peers.PathsOf(known));
    private readonly ResiliencePipeline _reconnect = Reconnect(context.Time);
    private readonly TaskCompletionSource _left = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Action<int>? _unreachable;
    private long _received;
    private long _counted;
    private int _changeTold;
    private volatile PeerInfo _peer = known;

    /// <summary>The peer as it was last heard of: one that comes back elsewhere is called there.</summary>
    public PeerInfo Peer
    {
        get => _peer;
        set => _peer = value;
    }

    /// <summary>Shards that it announced and did not have.</summary>
    public DeniedShards Denied { get; } = new();

    /// <summary>The planner's view while the session is up, else null.</summary>
    public PlannedSource? Planned { get; set; }

    /// <summary>What the peer says it holds, while the session is up.</summary>
    public RemoteSwarm? Remote { get; private set; }

    /// <summary>The paths to the peer, while the session is up.</summary>
    public PeerChannel? Channel { get; private set; }

    /// <summary>Round trip to the peer when the session came up; zero while unknown.</summary>
    public TimeSpan RoundTrip { get; private set; }

    /// <summary>What keeps it from being fetched from, or did last; for people.</summary>
    public string? Problem { get; set; }

    /// <summary>Whether it is put off because it had no upload slot, rather than because it failed.</summary>
    public bool IsBusy { get; set; }

    public int Shards { get; private set; }

    public long Bytes { get; private set; }

    public int Failures { get; set; }

    public int Stalls { get; set; }

    public int Retries { get; set; }

    public int Hedges { get; set; }

    public string? Banned { get; set; }

    /// <summary>Whether it belongs into the report.</summary>
    public bool WasUsed => Shards > 0 || Failures > 0 || Banned is not null || _paths.Any(path => path.WasUsed);

    /// <summary>A fetch was sent to it.</summary>
    public void Asked(int path) => _paths[path].Asked();

    /// <summary>A fetch that was sent to it came to an end.</summary>
    public void Answered(int path) => _paths[path].Answered();

    public void Received(int path, int bytes)
    {
        Interlocked.Add(ref _received, bytes);
        _paths[path].Received(bytes);
    }

    /// <summary>A path does not reach the peer.</summary>
    public Action<int> Unreachable => _unreachable ??= path => Failed(path, FailureReasons.Unreachable);

    /// <summary>A path gave no shard, or lost a part of itself.</summary>
    /// <param name="reason">A word of <see cref="FailureReasons"/>.</param>
    public void Failed(int path, string reason) => _paths[path].Failed(reason);

    /// <summary>A shard that came by the path is verified.</summary>
    public void Carried(int path, int bytes)
    {
        Shards++;
        Bytes += bytes;
        _paths[path].Carried(bytes);
    }

    /// <summary>Whether fetches wait on the path and no byte has come for this long.</summary>
    public bool IsSilent(int path, TimeSpan duration) => _paths[path].IsSilent(duration);

    /// <summary>Bytes received since the last call.</summary>
    public long TakeReceived()
    {
        var received = Interlocked.Read(ref _received);
        var since = received - _counted;
        _counted = received;
        return since;
    }

    public SourceReport Report() =>
        new(Peer.Id, Peer.Name, Shards, Bytes, Failures, Stalls, Retries, Hedges, Banned, [.. _paths.Where(path => path.WasUsed).Select(path => path.Report())]);

    /// <summary>The pull does without it from now on: its session ends, and none is opened again.</summary>
    public void Leave() => _left.TrySetResult();

    /// <summary>Keeps a session up until cancelled; one that cannot be opened is tried again after a while that doubles.</summary>
    /// <param name="post">Runs an action on the pull's loop.</param>
    public async Task RunAsync(Digest manifest, IPullSourceOwner owner, Action<Action> post, CancellationToken cancellationToken)
    {
        try
        {
            while (!_left.Task.IsCompleted)
            {
                var session = await _reconnect.ExecuteAsync(BorrowAsync, cancellationToken).ConfigureAwait(false);
                if (session is null)
                {
                    return;
                }

                using (session)
                {
                    var reason = await FollowAsync(session, manifest, owner, post, cancellationToken).ConfigureAwait(false);
                    context.Log.SourceDown(Peer.Name, reason.Message);
                }

                // A peer that takes calls and ends them at once must not be called in a circle.
                await Task.Delay(FirstRetry * (0.75 + (Random.Shared.NextDouble() / 2)), context.Time, cancellationToken).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The pull is over.
        }

        async ValueTask<BorrowedSession?> BorrowAsync(CancellationToken token)
        {
            if (_left.Task.IsCompleted)
            {
                return null;
            }

            try
            {
                return context.Peers.BanOf(Peer.Id) is { } ban
                    ? throw new IOException($"banned: {ban}")
                    : await context.Sessions.BorrowAsync(Peer, token).ConfigureAwait(false);
            }
            catch (Exception e) when (IsUnreachable(e))
            {
                post(() => Problem = e.Message);
                context.Log.SourceDown(Peer.Name, e.Message);
                throw;
            }
        }
    }

    private static bool IsUnreachable(Exception e) => e is IOException or TransferException;

    private static ResiliencePipeline Reconnect(TimeProvider time) => new ResiliencePipelineBuilder { TimeProvider = time }
        .AddRetry(new RetryStrategyOptions
        {
            ShouldHandle = args => ValueTask.FromResult(args.Outcome.Exception is { } e && IsUnreachable(e)),
            MaxRetryAttempts = int.MaxValue,
            BackoffType = DelayBackoffType.Exponential,
            Delay = FirstRetry,
            MaxDelay = LongestRetry,
            UseJitter = true,
        })
        .Build();

    /// <summary>Passes on what the peer tells until the session ends; returns why it did.</summary>
    private async Task<Exception> FollowAsync(
        BorrowedSession session, Digest manifest, IPullSourceOwner owner, Action<Action> post, CancellationToken cancellationToken)
    {
        var remote = session.Session.Subscribe(manifest, context.Swarms.Find(manifest)?.Held() ?? new ShardBitmap(shards));

        // However often the peer tells, one post at a time waits for the loop.
        void Changed()
        {
            if (Interlocked.Exchange(ref _changeTold, 1) == 0)
            {
                post(() =>
                {
                    Volatile.Write(ref _changeTold, 0);
                    owner.SourceChanged(this);
                });
            }
        }

        remote.Changed += Changed;
        post(() =>
        {
            (Remote, Channel, Problem) = (remote, session.Channel, null);
            RoundTrip = session.Session.RoundTrip ?? TimeSpan.Zero;
            context.Log.SourceUp(Peer.Name);
            owner.SourceUp(this);
        });
        try
        {
            var closed = session.Session.Closed;
            if (await Task.WhenAny(closed, _left.Task).WaitAsync(cancellationToken).ConfigureAwait(false) != closed)
            {
                return new IOException("others are asked in its place");
            }

            return await closed.ConfigureAwait(false) is var reason && reason is TransferException broken ? Report(broken, owner, post) : reason;
        }
        finally
        {
            remote.Changed -= Changed;
            session.Session.Unsubscribe(remote);
            post(() =>
            {
                (Remote, Channel) = (null, null);
                owner.SourceDown(this);
            });
        }
    }

    private TransferException Report(TransferException broken, IPullSourceOwner owner, Action<Action> post)
    {
        post(() => owner.SourceBroke(this, broken.Message));
        return broken;
    }
}

/// <summary>Whom a <see cref="PullSource"/> tells about itself, on the pull's loop.</summary>
internal interface IPullSourceOwner
{
    /// <summary>A session is up.</summary>
    void SourceUp(PullSource source);

    /// <summary>The peer told that it holds something else now.</summary>
    void SourceChanged(PullSource source);

    /// <summary>The session is down.</summary>
    void SourceDown(PullSource source);

    /// <summary>The peer broke the protocol.</summary>
    void SourceBroke(PullSource source, string how);
}
