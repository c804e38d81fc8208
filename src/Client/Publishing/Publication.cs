using P2PWeights.Client.Catalog;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Publishing;

/// <summary>A request to publish that has passed every check which needs no byte of the folder.</summary>
/// <param name="Name">The name to publish under.</param>
/// <param name="Folder">Full path of a folder that is there.</param>
internal sealed record Publication(CheckpointName Name, string Folder, PublishRequest Request)
{
    /// <summary>Below this, a checkpoint becomes mostly manifest: 48 bytes for each shard.</summary>
    private const int MinShardBytes = 64 << 10;

    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>.</exception>
    public static Publication Check(PublishRequest request)
    {
        var name = CheckpointCatalog.Parse(request.Checkpoint);
        foreach (var tag in request.Tags)
        {
            CheckpointCatalog.CheckTag(name, tag);
        }

        if (request.MaxShardBytes is < MinShardBytes or > Manifest.DefaultMaxShardBytes)
        {
            throw new NodeException(NodeError.Usage, $"shards of at most {request.MaxShardBytes} bytes: the limit must lie between {MinShardBytes} and {Manifest.DefaultMaxShardBytes}");
        }

        return new Publication(name, LocalPath.RequireFolder(request.Folder, "the folder to publish"), request);
    }
}
