namespace P2PWeights.Store.Serialization;

/// <summary>Bytes that are not the MessagePack that was asked for, or a value that MessagePack cannot hold. The message says what and at which byte.</summary>
public sealed class MessagePackSerializationException(string message, Exception? inner = null) : Exception(message, inner);
