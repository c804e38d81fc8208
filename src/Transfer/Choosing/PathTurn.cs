namespace P2PWeights.Transfer.Choosing;

/// <summary>
/// One shard's time on the paths of one peer, one path after the other: filled by <see cref="PeerChannel.NextAsync"/> for each. Its user tells once per path how it ended; one that is only ended ended without
/// saying anything about the path. Owned by the fetch of the shard, and used again for its next one; not thread-safe.
/// </summary>
internal sealed class PathTurn
{
    private PathChoice _choice;
    private BorrowedChannel _borrowed;
    private PeerPaths _state = null!;
    private bool _told;

    /// <summary>Bits of the paths that the shard has been tried by.</summary>
    public uint Tried { get; private set; }

    /// <summary>The path's word.</summary>
    public string Path { get; private set; } = "";

    /// <summary>The path's place among the allowed ones.</summary>
    public int Index => _choice.Path;

    public IPathChannel Channel => _borrowed.Channel!;

    /// <summary>From here on it is about another shard.</summary>
    public void Reset() => Tried = 0;

    /// <summary>A path was chosen for the shard, whether or not it turns out to reach the peer.</summary>
    public void Try(PathChoice choice) => Tried |= choice.Bit;

    /// <summary>The shard has its time on this path, until <see cref="End"/>.</summary>
    public void Begin(string path, PathChoice choice, BorrowedChannel borrowed, PeerPaths state) =>
        (Path, _choice, _borrowed, _state, _told) = (path, choice, borrowed, state, false);

    /// <summary>The shard is here and its bytes are right, or are not looked at before somebody reads them: the path works.</summary>
    public void Succeeded()
    {
        _told = true;
        _state.Succeeded(_choice);
    }

    /// <summary>The path failed.</summary>
    /// <param name="reason">A word of <see cref="FailureReasons"/>.</param>
    public void Failed(string reason, string detail)
    {
        _told = true;
        _borrowed.Slot.Leave(_borrowed);
        _state.Failed(_choice, reason, detail);
    }

    /// <summary>The bytes that came are not the shard's.</summary>
    /// <returns>Whether that is the peer's fault, as far as can be told: it is to be banned.</returns>
    public bool WrongBytes(string detail)
    {
        _told = true;
        _borrowed.Slot.Leave(_borrowed);
        return _state.WrongBytes(_choice, detail);
    }

    /// <summary>The shard's time on the path is over. Once per <see cref="Begin"/>.</summary>
    public void End()
    {
        if (!_told)
        {
            _state.Ended(_choice);
        }

        _borrowed.Slot.Return(_borrowed);
    }
}
