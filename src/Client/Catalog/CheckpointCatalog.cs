using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;

namespace P2PWeights.Client.Catalog;

/// <summary>Names to checkpoints to manifests: the questions that every command asks first.</summary>
internal sealed class CheckpointCatalog(TrackerClient tracker, ShardStore store)
{
    /// <summary>Reads <c>name@version</c> or <c>name@tag</c> as a user typed it.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>.</exception>
    public static CheckpointName Parse(string text) =>
        CheckpointName.TryParse(text, out var checkpoint, out var problem)
            ? checkpoint
            : throw new NodeException(NodeError.Usage, $"'{text}' does not name a checkpoint: {problem}; write it as name@version");

    /// <summary>The checkpoint that a version or a tag names.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>, with the closest names.</exception>
    public async Task<CheckpointInfo> FindAsync(CheckpointName checkpoint, CancellationToken cancellationToken) =>
        await tracker.FindAsync(checkpoint, cancellationToken).ConfigureAwait(false)
        ?? throw await NotFoundAsync(checkpoint, cancellationToken).ConfigureAwait(false);

    /// <summary>Its manifest: from the store when this node keeps it, else from the tracker, checked against the digest.</summary>
    public async Task<Manifest> ManifestAsync(CheckpointInfo checkpoint, CancellationToken cancellationToken) =>
        store.FindManifest(checkpoint.Manifest)
        ?? await tracker.GetManifestAsync(checkpoint.Manifest, cancellationToken).ConfigureAwait(false)
        ?? throw new NodeException(
            NodeError.NotFound,
            $"the catalog lists {NameOf(checkpoint)} with manifest {checkpoint.Manifest}, but the tracker does not have that manifest; publish the checkpoint again");

    /// <summary>The swarm of the checkpoint that a version or a tag names, with at most so many of its members.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>, with the closest names.</exception>
    public async Task<SwarmStatus> SwarmAsync(CheckpointName checkpoint, int members, CancellationToken cancellationToken) =>
        await tracker.SwarmAsync(checkpoint, members, cancellationToken).ConfigureAwait(false)
        ?? throw await NotFoundAsync(checkpoint, cancellationToken).ConfigureAwait(false);

    /// <summary>All checkpoints, or those of one name.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: that is no name.</exception>
    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken) =>
        name is not null && CheckpointName.NameProblem(name) is { } problem
            ? throw new NodeException(NodeError.Usage, $"that is no name of checkpoints: {problem}")
            : tracker.ListAsync(name, cancellationToken);

    /// <summary>Points a tag at a version.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: no name for a tag; <see cref="NodeError.NotFound"/>: no such version.</exception>
    public async Task TagAsync(CheckpointName checkpoint, string tag, CancellationToken cancellationToken)
    {
        CheckTag(checkpoint, tag);
        if (!await tracker.TagAsync(checkpoint, tag, cancellationToken).ConfigureAwait(false))
        {
            throw await NotFoundAsync(checkpoint, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Removes a version, with the tags that point at it, or a tag.</summary>
    public async Task RemoveAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        if (!await tracker.RemoveAsync(checkpoint, cancellationToken).ConfigureAwait(false))
        {
            throw await NotFoundAsync(checkpoint, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: a tag stands in the place of a version and follows its rules.</exception>
    public static void CheckTag(CheckpointName checkpoint, string tag)
    {
        if (!CheckpointName.TryParse($"{checkpoint.Name}@{tag}", out _, out var problem))
        {
            throw new NodeException(NodeError.Usage, $"'{tag}' cannot be a tag: {problem}");
        }

        if (tag == checkpoint.Version)
        {
            throw new NodeException(NodeError.Usage, $"'{tag}' cannot be a tag of {checkpoint}: it is the version's own name");
        }
    }

    /// <summary>Makes sure, before work is done for it, that a tag can be pointed at a version that is not there yet.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: a version has that name.</exception>
    public async Task RequireTaggableAsync(CheckpointName checkpoint, string tag, CancellationToken cancellationToken)
    {
        if (CheckpointName.TryParse($"{checkpoint.Name}@{tag}", out var place, out _)
            && await tracker.FindAsync(place, cancellationToken).ConfigureAwait(false) is { } standing
            && standing.Version == tag)
        {
            throw new NodeException(NodeError.Usage, $"'{tag}' cannot be a tag of {checkpoint}: {place} is a version; nothing was published, choose another tag");
        }
    }

    /// <summary>What `p2pw show` tells of a checkpoint.</summary>
    public static CheckpointDetails Details(CheckpointInfo checkpoint, Manifest manifest) => new(
        checkpoint,
        manifest.MaxShardBytes,
        [.. manifest.Files.Select(file => new FileDetails(file.Path, file.Size, file.Shards.Length))],
        [.. manifest.Tensors.Select(tensor => new TensorDetails(tensor.Name, tensor.DType, tensor.Shape, manifest.Files[tensor.File].Path, tensor.Offset, tensor.Length))],
        manifest.Metadata);

    /// <summary>The exception for a name that is not in the catalog.</summary>
    public async Task<NodeException> NotFoundAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        var closest = await tracker.SuggestAsync(checkpoint, cancellationToken).ConfigureAwait(false);
        var hint = closest.Count == 0 ? "the catalog has no similar name; `p2pw ls` lists all" : $"did you mean {string.Join(" or ", closest)}?";
        return new NodeException(NodeError.NotFound, $"no checkpoint {checkpoint}; {hint}");
    }

    /// <summary><c>name@version</c> of a checkpoint in the catalog, whatever name led to it.</summary>
    public static string NameOf(CheckpointInfo checkpoint) => $"{checkpoint.Name}@{checkpoint.Version}";
}
