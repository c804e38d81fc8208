using P2PWeights.Client;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Cli.Targets;

/// <summary>The catalog straight from the trackers.</summary>
internal sealed class TrackerCatalog(TrackerClient tracker) : ICatalog
{
    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken) =>
        tracker.ListAsync(name, cancellationToken);

    /// <summary>A checkpoint's entry and its manifest.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>, with the closest names.</exception>
    public async Task<(CheckpointInfo Info, Manifest Manifest)> FindAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        var info = await tracker.FindAsync(checkpoint, cancellationToken) ?? throw await MissingAsync(checkpoint, cancellationToken);
        var manifest = await tracker.GetManifestAsync(info.Manifest, cancellationToken)
            ?? throw new NodeException(NodeError.Integrity, $"the tracker lists {checkpoint} but has no manifest {info.Manifest}. Publish {checkpoint} again: that restores it.");
        return (info, manifest);
    }

    public async Task<CheckpointDetails> ShowAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        var (info, manifest) = await FindAsync(checkpoint, cancellationToken);
        return new CheckpointDetails(
            info,
            manifest.MaxShardBytes,
            [.. manifest.Files.Select(file => new FileDetails(file.Path, file.Size, file.Shards.Length))],
            [.. manifest.Tensors.Select(tensor => new TensorDetails(tensor.Name, tensor.DType, tensor.Shape, manifest.Files[tensor.File].Path, tensor.Offset, tensor.Length))],
            manifest.Metadata);
    }

    public async Task<SwarmStatus> SwarmAsync(CheckpointName checkpoint, int members, CancellationToken cancellationToken) =>
        await tracker.SwarmAsync(checkpoint, members, cancellationToken) ?? throw await MissingAsync(checkpoint, cancellationToken);

    public async Task TagAsync(CheckpointName checkpoint, string tag, CancellationToken cancellationToken)
    {
        if (!await tracker.TagAsync(checkpoint, tag, cancellationToken))
            throw await MissingAsync(checkpoint, cancellationToken);
    }

    public async Task RemoveAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        if (!await tracker.RemoveAsync(checkpoint, cancellationToken))
            throw await MissingAsync(checkpoint, cancellationToken);
    }

    public void Dispose() => tracker.Dispose();

    private async Task<NodeException> MissingAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        var closest = await tracker.SuggestAsync(checkpoint, cancellationToken);
        var hint = closest.Count > 0 ? $"Closest: {string.Join(", ", closest)}." : "The catalog holds nothing like it; `p2pw ls` shows what there is.";
        return new NodeException(NodeError.NotFound, $"there is no checkpoint {checkpoint}. {hint}");
    }
}
