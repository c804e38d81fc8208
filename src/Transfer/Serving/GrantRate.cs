using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Serving;

/// <summary>
/// Pays the upload rate for whole shards before they may be read: one shard at a time, so that with a low cap the first is granted soon rather than all late. What was
/// paid for a grant that was given up is credited to the next. Thread-safe.
/// </summary>
internal sealed class GrantRate(ByteRate rate, TimeProvider time) : IDisposable
{
    /// <summary>Below any patience for a byte: whoever is told to ask again knows that the peer lives, whoever waits does not.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(250);

    private readonly SemaphoreSlim _turn = new(1);
    private long _credit;

    public void Dispose() => _turn.Dispose();

    /// <summary>Waits a moment for so many bytes; false when they are not to be had in it.</summary>
    public async ValueTask<bool> TryTakeAsync(int bytes, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(Patience, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            await _turn.WaitAsync(either.Token).ConfigureAwait(false);
            try
            {
                while (_credit < bytes)
                {
                    var slice = (int)Math.Min(bytes - _credit, rate.SliceBytes);
                    await rate.TakeAsync(slice, either.Token).ConfigureAwait(false);
                    _credit += slice;
                }

                _credit -= bytes;
                return true;
            }
            finally
            {
                _turn.Release();
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return false;
        }
    }
}
