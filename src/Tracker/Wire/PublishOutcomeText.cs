using P2PWeights.Store.Serialization;

namespace P2PWeights.Tracker.Wire;

/// <summary>The names of <see cref="PublishOutcome"/> on the wire.</summary>
internal static class PublishOutcomeText
{
    public static string Of(PublishOutcome outcome) => outcome switch
    {
        PublishOutcome.Published => "published",
        PublishOutcome.AlreadyPublished => "alreadyPublished",
        PublishOutcome.Staged => "staged",
        PublishOutcome.Conflict => "conflict",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, null),
    };

    public static PublishOutcome Parse(string text) => text switch
    {
        "published" => PublishOutcome.Published,
        "alreadyPublished" => PublishOutcome.AlreadyPublished,
        "staged" => PublishOutcome.Staged,
        "conflict" => PublishOutcome.Conflict,
        _ => throw new MessagePackSerializationException("the outcome is none of published, alreadyPublished, staged, conflict"),
    };
}
