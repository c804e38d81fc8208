using System.Collections.Immutable;

namespace P2PWeights.Client.Engines;

/// <summary>An engine that weights are brought into: what one <c>--engine</c> URL leads to, with one rank or more.</summary>
internal interface IEngine : IAsyncDisposable
{
    /// <summary>The URL, for reports and messages.</summary>
    string Name { get; }

    /// <summary>One per rank.</summary>
    ImmutableArray<EngineDevice> Devices { get; }

    /// <summary>
    /// Asks the engine to begin an update, in the background: a refusal comes out of the channels. One update at a time; the channels are the caller's to
    /// dispose, all of them before the next update and before the engine.
    /// </summary>
    /// <param name="checkpoint">What the weights will be, <c>name@version</c>, for engines that keep it.</param>
    /// <returns>One channel per device, in the order of <see cref="Devices"/>.</returns>
    ImmutableArray<IEngineChannel> BeginUpdate(string checkpoint);

    /// <summary>
    /// What the engine holds now, read back by itself: the SHA-256 of each tensor's bytes, 32 bytes, in the order of the names (not BLAKE3, which an
    /// engine's Python does not have); empty for a tensor that it does not hold, or not as it came.
    /// </summary>
    /// <exception cref="EngineException"><see cref="EngineError.NotSupported"/>: only an engine that receives with the Python package can do this.</exception>
    Task<ImmutableArray<ReadOnlyMemory<byte>>> HashAsync(ImmutableArray<string> tensors, CancellationToken cancellationToken);
}
