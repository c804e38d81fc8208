namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>A device was taken out of the update; whoever waits for bytes from it gets them elsewhere.</summary>
internal sealed class DeviceFailedException(string message, Exception? inner = null) : Exception(message, inner);
