namespace P2PWeights.Client.Updating;

/// <summary>An update cannot be done as asked: what the checkpoint, the GPUs or the options do not allow. The message says which, with the numbers, and what to do.</summary>
internal sealed class UpdateException(string message, Exception? inner = null) : Exception(message, inner);
