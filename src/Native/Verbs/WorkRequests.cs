namespace P2PWeights.Native.Verbs;

/// <summary>One READ: bytes of the peer's memory into ours.</summary>
/// <param name="Id">Comes back in <see cref="WorkCompletion.Id"/>.</param>
/// <param name="LocalAddress">Where the bytes go, inside a region with <see cref="MemoryAccess.LocalWrite"/>.</param>
/// <param name="LocalKey">That region's <see cref="MemoryRegion.LocalKey"/>.</param>
/// <param name="RemoteAddress">Where they lie at the peer.</param>
/// <param name="RemoteKey">The peer's region or window that covers them.</param>
/// <param name="Bytes">How many, at most <see cref="PortAttributes.MaxMessageBytes"/>.</param>
/// <param name="Signalled">
/// Whether it is to be reported when it succeeds; failures always are. Requests of a queue pair complete in order, so one signalled request at the end speaks for
/// all before it; a queue whose requests are never signalled fills up.
/// </param>
public readonly record struct ReadRequest(ulong Id, nint LocalAddress, uint LocalKey, ulong RemoteAddress, uint RemoteKey, uint Bytes, bool Signalled);

/// <summary>What became of posting requests.</summary>
/// <param name="Posted">How many were taken; those complete, one way or another.</param>
/// <param name="Error">0; or the errno for which the next was not taken: ENOMEM when the queue is full, EINVAL when the queue pair is not connected or has failed.</param>
public readonly record struct PostOutcome(int Posted, int Error)
{
    /// <summary>Whether all were taken.</summary>
    public bool IsComplete => Error == 0;
}
