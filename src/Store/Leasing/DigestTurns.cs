using P2PWeights.Store.Content;

namespace P2PWeights.Store.Leasing;

/// <summary>
/// Lets one at a time work on a shard, so that whoever comes second finds the first one's result. A shard always has the same of a few turns: some shards share one, which bounds
/// the work at the same time as well.
/// </summary>
internal sealed class DigestTurns
{
    private const int Turns = 16;

    private readonly SemaphoreSlim[] _turns = [.. Enumerable.Range(0, Turns).Select(_ => new SemaphoreSlim(1))];

    /// <summary>Waits for the shard's turn; disposing the result ends it.</summary>
    public async ValueTask<Turn> EnterAsync(Digest digest, CancellationToken cancellationToken)
    {
        var turn = _turns[(uint)digest.GetHashCode() % Turns];
        await turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        return new Turn(turn);
    }

    public readonly struct Turn(SemaphoreSlim turn) : IDisposable
    {
        public void Dispose() => turn.Release();
    }
}
