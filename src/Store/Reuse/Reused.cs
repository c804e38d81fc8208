namespace P2PWeights.Store.Reuse;

/// <summary>
/// An object that serves one purpose after the other, so that none of them allocates. Each purpose is a turn with a number, and a handle that kept the number of an ended turn
/// reaches nothing by it: not the next user's bytes, and not the next user's end. Thread-safe as to the end of a turn.
/// </summary>
internal abstract class Reused
{
    private int _turn;

    /// <summary>The number of the present turn.</summary>
    public int Turn => Volatile.Read(ref _turn);

    /// <summary>Ends a turn; false when it has ended before.</summary>
    protected bool TryEndTurn(int turn) => Interlocked.CompareExchange(ref _turn, turn + 1, turn) == turn;

    /// <exception cref="ObjectDisposedException">The turn has ended.</exception>
    public void ThrowIfEnded(int turn, Type handle) => ObjectDisposedException.ThrowIf(Turn != turn, handle);
}
