using System.Collections.Immutable;

namespace P2PWeights.Client.Engines.StandIn;

/// <summary>The node's messages as an engine in the host's memory reads them: the other side of <see cref="EngineMessages"/>.</summary>
internal static class ReceivedMessages
{
    /// <exception cref="InvalidDataException">It is not where host slots are.</exception>
    public static HostSlotMemory ReadMemory(ReadOnlySpan<byte> message) =>
        PickleReader.Read(message) is object?[] and ["host", string path, long and > 0 and var size]
            ? new HostSlotMemory(path, size)
            : throw new InvalidDataException("the first message does not say where slots in the host's memory are");

    /// <summary>A bucket, or null for the end.</summary>
    /// <exception cref="IOException">The node says that the update has failed.</exception>
    /// <exception cref="InvalidDataException">It is neither.</exception>
    public static ImmutableArray<TensorRecord>? ReadStep(ReadOnlySpan<byte> message) => PickleReader.Read(message) switch
    {
        null => null,
        List<object?> bucket => [.. bucket.Select(ReadRecord)],
        PickledCall { Arguments: object?[] and [string reason] } => throw new IOException($"the node gave the update up: {reason}"),
        _ => throw new InvalidDataException("a message is neither a bucket nor the end"),
    };

    private static TensorRecord ReadRecord(object? item)
    {
        if (item is Dictionary<string, object?> record
            && record.GetValueOrDefault("name") is string name
            && record.GetValueOrDefault("dtype") is PickledName { Module: "torch" } dtype
            && record.GetValueOrDefault("shape") is object?[] shape
            && record.GetValueOrDefault("offset") is long offset
            && EngineDType.OfTorch(dtype.Name) is { } known)
        {
            return new TensorRecord(name, known, [.. shape.Select(dimension => dimension as long? ?? throw new InvalidDataException("a dimension is no number"))], offset);
        }

        throw new InvalidDataException("a tensor's record does not have name, dtype, shape and offset");
    }
}
