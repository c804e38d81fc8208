namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>When engines are at work during an update, in its three parts.</summary>
/// <param name="Open">They open the slots.</param>
/// <param name="Load">They load buckets.</param>
/// <param name="Finish">They let go of the slots, and do what follows the last bucket.</param>
internal sealed record EngineMeters(StageMeter Open, StageMeter Load, StageMeter Finish);
