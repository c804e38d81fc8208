namespace P2PWeights.Sim;

/// <summary>Some shards died with the last nodes that held them, so nobody can finish: an outcome of the options, and not a fault.</summary>
public sealed class LostShardsException(string message) : Exception(message);
