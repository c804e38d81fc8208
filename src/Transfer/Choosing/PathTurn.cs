namespace P2PWeights.Transfer.Choosing;

/// <summary>
/// One shard's time on one path of a peer. Its user tells once how it ended; one that is only disposed ended without saying anything about the path. Owned by the fetch that
/// got it; not thread-safe.
/// </summary>
internal sealed class PathTurn(string path, PathChoice choice, BorrowedChannel borrowed, PeerPaths state) : IDisposable
{
    private bool _told;

    /// <summary>The path's word.</summary>
    public string Path => path;

    /// <summary>The path's place among the allowed ones.</summary>
    public int Index => choice.Path;

    public IPathChannel Channel => borrowed.Channel!;

    /// <summary>The shard is here and its bytes are right, or are not looked at before somebody reads them: the path works.</summary>
    public void Succeeded()
    {
        _told = true;
        state.Succeeded(choice);
    }

    /// <summary>The path failed.</summary>
    /// <param name="reason">A word of <see cref="FailureReasons"/>.</param>
    public void Failed(string reason, string detail)
    {
        _told = true;
        borrowed.Slot.Leave(borrowed);
        state.Failed(choice, reason, detail);
    }

    /// <summary>The bytes that came are not the shard's.</summary>
    /// <returns>Whether that is the peer's fault, as far as can be told: it is to be banned.</returns>
    public bool WrongBytes(string detail)
    {
        _told = true;
        borrowed.Slot.Leave(borrowed);
        return state.WrongBytes(choice, detail);
    }

    public void Dispose()
    {
        if (!_told)
        {
            state.Ended(choice);
        }

        borrowed.Slot.Return(borrowed);
    }
}
