using Microsoft.Extensions.Logging;
using P2PWeights.Store;

namespace P2PWeights.Client.Scrubbing;

/// <summary>Scrubs the whole store again and again at a bounded rate, so that rot is found and repaired while other replicas still exist.</summary>
internal sealed class BackgroundScrub(Scrubber scrubber, long bytesPerSecond, TimeProvider time, ILogger log) : IAsyncDisposable
{
    /// <summary>Between two passes, and before the first: a start has better things to read.</summary>
    private static readonly TimeSpan Rest = TimeSpan.FromHours(1);

    private readonly CancellationTokenSource _stop = new();
    private Task _loop = Task.CompletedTask;

    public void Start() => _loop = RunAsync(_stop.Token);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _loop.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(Rest, time, cancellationToken).ConfigureAwait(false);
            try
            {
                var report = await scrubber.RunAsync(bytesPerSecond, null, cancellationToken).ConfigureAwait(false);
                NodeLog.Scrubbed(log, report.Checked, report.Bytes, report.Wrong.Count, report.Repaired, report.Unrepaired);
            }
            catch (StoreException e)
            {
                NodeLog.ScrubFailed(log, e.Message);
            }
        }
    }
}
