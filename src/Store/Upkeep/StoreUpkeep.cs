using P2PWeights.Store.Index;
using P2PWeights.Store.References;
using P2PWeights.Store.Scrubbing;

namespace P2PWeights.Store.Upkeep;

/// <summary>
/// What the store does unasked, in two loops that it owns from start to stop: checkpoints of the index and compaction of the journal every few minutes,
/// and the background scrub. A failure is logged and tried again at the next turn.
/// </summary>
internal sealed class StoreUpkeep(
    string dataFolder,
    ShardIndex index,
    ReferenceTier references,
    Scrubber scrubber,
    long scrubBytesPerSecond,
    TimeProvider time,
    StoreLog log) : IDisposable
{
    private static readonly TimeSpan TidyEvery = TimeSpan.FromSeconds(30);

    /// <summary>A checkpoint only saves time at the next start, so it need not be fresh.</summary>
    private static readonly TimeSpan CheckpointEvery = TimeSpan.FromMinutes(5);

    /// <summary>Rest between two full scrubs, so that a small store is not read over and over.</summary>
    private static readonly TimeSpan ScrubRest = TimeSpan.FromHours(1);

    /// <summary>A store that cannot finish its last checkpoint in this time gives up on it: the next start reads the tiers instead.</summary>
    private static readonly TimeSpan LastCheckpointDeadline = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _stop = new();
    private Task _loops = Task.CompletedTask;

    /// <summary>Where the index of a data folder lies.</summary>
    public static string IndexPath(string dataFolder) => Path.Combine(dataFolder, "index");

    public void Start() => _loops = Task.WhenAll(Task.Run(TidyLoopAsync), Task.Run(ScrubLoopAsync));

    /// <summary>Ends the loops and writes the last checkpoint.</summary>
    public async Task StopAsync(int leasesOut)
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loops.ConfigureAwait(false);
        if (leasesOut > 0)
        {
            log.ClosedWithLeases(leasesOut);
        }

        using var deadline = new CancellationTokenSource(LastCheckpointDeadline, time);
        try
        {
            await TidyAsync(checkpoint: true, deadline.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is StoreException or IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            log.CheckpointFailed(failure.Message);
        }
    }

    public void Dispose() => _stop.Dispose();

    private async Task TidyLoopAsync()
    {
        var lastCheckpoint = time.GetTimestamp();
        await RepeatAsync(TidyEvery, async () =>
        {
            var due = time.GetElapsedTime(lastCheckpoint) >= CheckpointEvery;
            await TidyAsync(due, _stop.Token).ConfigureAwait(false);
            lastCheckpoint = due ? time.GetTimestamp() : lastCheckpoint;
        }).ConfigureAwait(false);
    }

    private Task ScrubLoopAsync() => scrubBytesPerSecond <= 0
        ? Task.CompletedTask
        : RepeatAsync(ScrubRest, async () =>
        {
            var report = await scrubber.RunAsync(shards: null, scrubBytesPerSecond, progress: null, _stop.Token).ConfigureAwait(false);
            log.Scrubbed(report.Checked, report.Bytes, report.Wrong.Count);
        });

    private async Task TidyAsync(bool checkpoint, CancellationToken cancellationToken)
    {
        await references.DropVanishedAsync(cancellationToken).ConfigureAwait(false);
        if (checkpoint)
        {
            await references.CompactJournalAsync(cancellationToken).ConfigureAwait(false);
            await IndexFolder.CheckpointAsync(IndexPath(dataFolder), index, cancellationToken).ConfigureAwait(false);
        }
    }

    private async Task RepeatAsync(TimeSpan rest, Func<Task> turn)
    {
        try
        {
            while (true)
            {
                await Task.Delay(rest, time, _stop.Token).ConfigureAwait(false);
                try
                {
                    await turn().ConfigureAwait(false);
                }
                catch (Exception failure) when (failure is StoreException or IOException or UnauthorizedAccessException)
                {
                    log.UpkeepFailed(failure.Message);
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
        }
    }
}
