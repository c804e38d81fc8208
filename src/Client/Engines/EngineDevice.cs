namespace P2PWeights.Client.Engines;

/// <summary>Where one rank of an engine keeps its weights, which decides the kind of slot memory that it can open.</summary>
/// <param name="Id">
/// For a GPU what its engine calls it, <c>GPU-</c> and the UUID, e.g. <c>GPU-1b2c3d4e-…</c>; for a rank in the host's memory <c>host-</c> and its number.
/// Unique within an engine.
/// </param>
internal sealed record EngineDevice(string Id)
{
    /// <summary>True when the rank takes shared memory of the host, false when it takes memory of the GPU that <see cref="Id"/> names.</summary>
    public bool IsHost => Id.StartsWith("host-", StringComparison.Ordinal);

    public override string ToString() => Id;
}
