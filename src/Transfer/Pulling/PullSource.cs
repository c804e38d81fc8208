using P2PWeights.Transfer.Sessions;

namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// One peer as a source of one pull: keeps a session with it up, and tells the pull's loop what it holds. The properties belong to that loop; the bytes
/// received are counted by whoever receives them.
/// </summary>
internal sealed class PullSource(PeerInfo known, PullContext context, int shards, TimeSpan retryAfter)
{
    private static readonly TimeSpan LongestRetry = TimeSpan.FromSeconds(5);

    private long _received;
    private long _counted;
    private long _lastByte;
    private int _asked;
    private int _changeTold;
    private volatile PeerInfo _peer = known;
    private volatile bool _left;

    /// <summary>The peer as it was last heard of: one that comes back elsewhere is called there.</summary>
    public PeerInfo Peer
    {
        get => _peer;
        set => _peer = value;
    }

    /// <summary>Shards that it announced and did not have.</summary>
    public HashSet<int> Denied { get; } = [];

    /// <summary>The planner's view while the session is up, else null.</summary>
    public PlannedSource? Planned { get; set; }

    /// <summary>What the peer says it holds, while the session is up.</summary>
    public RemoteSwarm? Remote { get; private set; }

    /// <summary>The path to the peer, while the session is up.</summary>
    public IPathChannel? Channel { get; private set; }

    /// <summary>The word of the path last used.</summary>
    public string Path { get; private set; } = "-";

    /// <summary>What keeps it from being fetched from, or did last; for people.</summary>
    public string? Problem { get; set; }

    public int Shards { get; set; }

    public long Bytes { get; set; }

    public int Failures { get; set; }

    public int Stalls { get; set; }

    public string? Banned { get; set; }

    /// <summary>Whether it belongs into the report.</summary>
    public bool WasUsed => Shards > 0 || Failures > 0 || Banned is not null || Interlocked.Read(ref _received) > 0;

    /// <summary>A fetch was sent to it.</summary>
    public void Asked()
    {
        if (Interlocked.Increment(ref _asked) == 1)
        {
            Touch();
        }
    }

    /// <summary>A fetch that was sent to it came to an end.</summary>
    public void Answered() => Interlocked.Decrement(ref _asked);

    public void Received(int bytes)
    {
        Interlocked.Add(ref _received, bytes);
        Touch();
    }

    /// <summary>Whether fetches wait and no byte has come for this long.</summary>
    public bool IsSilent(TimeSpan duration) =>
        Volatile.Read(ref _asked) > 0 && context.Time.GetElapsedTime(Interlocked.Read(ref _lastByte)) > duration;

    /// <summary>Bytes received since the last call.</summary>
    public long TakeReceived()
    {
        var received = Interlocked.Read(ref _received);
        var since = received - _counted;
        _counted = received;
        return since;
    }

    public SourceReport Report() => new(Peer.Id, Peer.Name, Path, Shards, Bytes, Failures, Stalls, Banned);

    /// <summary>It is no neighbour any more: a session that is down is not opened again.</summary>
    public void Leave() => _left = true;

    /// <summary>Keeps a session up until cancelled; a broken one is opened again after a while that doubles.</summary>
    /// <param name="post">Runs an action on the pull's loop.</param>
    public async Task RunAsync(Store.Content.Digest manifest, IPullSourceOwner owner, Action<Action> post, CancellationToken cancellationToken)
    {
        var retry = retryAfter;
        while (!cancellationToken.IsCancellationRequested && !_left)
        {
            var peer = Peer;
            Exception reason;
            try
            {
                if (context.Peers.BanOf(peer.Id) is { } ban)
                {
                    throw new IOException($"banned: {ban}");
                }

                var session = await context.Sessions.BorrowAsync(peer, cancellationToken).ConfigureAwait(false);
                await using (session.ConfigureAwait(false))
                {
                    retry = retryAfter;
                    reason = await FollowAsync(session, manifest, owner, post, cancellationToken).ConfigureAwait(false);
                }
            }
            catch (Exception e) when (e is IOException or TransferException)
            {
                reason = e;
                post(() => Problem = e.Message);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                return;
            }

            context.Log.SourceDown(peer.Name, reason.Message);
            await Task.Delay(retry * (0.75 + (Random.Shared.NextDouble() / 2)), context.Time, cancellationToken)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            retry = retry * 2 < LongestRetry ? retry * 2 : LongestRetry;
        }
    }

    /// <summary>Passes on what the peer tells until the session ends; returns why it did.</summary>
    private async Task<Exception> FollowAsync(
        BorrowedSession session, Store.Content.Digest manifest, IPullSourceOwner owner, Action<Action> post, CancellationToken cancellationToken)
    {
        var remote = session.Session.Subscribe(manifest, shards);

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
            (Remote, Channel, Path, Problem) = (remote, session.Channel, session.Path, null);
            context.Log.SourceUp(Peer.Name, session.Path);
            owner.SourceUp(this);
        });
        try
        {
            return await session.Session.Closed.WaitAsync(cancellationToken).ConfigureAwait(false) is var reason && reason is TransferException broken
                ? Report(broken, owner, post)
                : reason;
        }
        finally
        {
            remote.Changed -= Changed;
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

    private void Touch() => Interlocked.Exchange(ref _lastByte, context.Time.GetTimestamp());
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
