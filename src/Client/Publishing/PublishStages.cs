namespace P2PWeights.Client.Publishing;

/// <summary>The words of <see cref="PublishProgress.Stage"/>.</summary>
internal static class PublishStages
{
    public const string Hashing = "hashing";
    public const string Announcing = "announcing";
}
