using P2PWeights.Store.Content;

namespace P2PWeights.Tracker;

/// <summary>
/// Typed client of the tracker's HTTP API. Each call has a deadline, is retried with jitter when that is safe, and fails over along the list of trackers.
/// </summary>
public sealed class TrackerClient : IDisposable
{
    /// <param name="trackers">Base addresses, tried in order from the last that worked.</param>
    /// <param name="clusterKey">Shared secret; null for none.</param>
    public TrackerClient(IReadOnlyList<Uri> trackers, string? clusterKey, TimeProvider time) => throw new NotImplementedException();

    public Task<SyncResponse> SyncAsync(SyncRequest request, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Stores a manifest; idempotent.</summary>
    public Task PutManifestAsync(Manifest manifest, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Fetches a manifest and checks it against the digest; null when the tracker does not have it.</summary>
    public Task<Manifest?> GetManifestAsync(Digest digest, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Asks to make a manifest visible as <c>name@version</c>; ask again while <see cref="PublishOutcome.Staged"/>.</summary>
    public Task<PublishResponse> PublishAsync(CheckpointName checkpoint, Digest manifest, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>The checkpoint under a version or tag; null when there is none.</summary>
    public Task<CheckpointInfo?> FindAsync(CheckpointName checkpoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>All checkpoints, or those of one name.</summary>
    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Names closest to one that was not found, best first, at most five.</summary>
    public Task<IReadOnlyList<string>> SuggestAsync(CheckpointName checkpoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Points a tag at a version. False when there is no such version.</summary>
    public Task<bool> TagAsync(CheckpointName checkpoint, string tag, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Removes a version (with the tags that point at it) or a tag from the catalog. False when there was none.</summary>
    public Task<bool> RemoveAsync(CheckpointName checkpoint, CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<IReadOnlyList<TrackedPeer>> PeersAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    public Task<TrackerStatus> StatusAsync(CancellationToken cancellationToken) => throw new NotImplementedException();

    public void Dispose() => throw new NotImplementedException();
}
