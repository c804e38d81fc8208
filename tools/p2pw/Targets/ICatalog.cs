using P2PWeights.Client;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Cli.Targets;

/// <summary>The catalog as commands use it, whoever answers.</summary>
internal interface ICatalog : IDisposable
{
    Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken);

    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>, with the closest names.</exception>
    Task<CheckpointDetails> ShowAsync(CheckpointName checkpoint, CancellationToken cancellationToken);

    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>, with the closest names.</exception>
    Task<SwarmStatus> SwarmAsync(CheckpointName checkpoint, int members, CancellationToken cancellationToken);

    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>.</exception>
    Task TagAsync(CheckpointName checkpoint, string tag, CancellationToken cancellationToken);

    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>.</exception>
    Task RemoveAsync(CheckpointName checkpoint, CancellationToken cancellationToken);
}
