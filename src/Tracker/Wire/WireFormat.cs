using System.Buffers;
using System.Collections.Immutable;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using P2PWeights.Store.Serialization;
using static P2PWeights.Tracker.Wire.WireValues;

namespace P2PWeights.Tracker.Wire;

/// <summary>How a body is written.</summary>
internal enum BodyEncoding
{
    /// <summary><c>application/msgpack</c>: what programs use.</summary>
    MessagePack,

    /// <summary><c>application/json</c>: the same shapes, for people with <c>curl</c>.</summary>
    Json,
}

/// <summary>One kind of message in both encodings.</summary>
internal sealed class WireFormat<T>(WireWrite<T> write, WireRead<T> read, JsonTypeInfo<T> json)
{
    /// <summary>Quotes and the like stay readable: bodies are <c>application/json</c>, never part of a page.</summary>
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public ReadOnlyMemory<byte> Encode(T value, BodyEncoding encoding)
    {
        var buffer = new ArrayBufferWriter<byte>();
        if (encoding == BodyEncoding.Json)
        {
            using var writer = new Utf8JsonWriter(buffer, Readable);
            JsonSerializer.Serialize(writer, value, json);
        }
        else
        {
            var writer = new MessagePackWriter(buffer);
            write(ref writer, value);
            writer.Flush();
        }

        return buffer.WrittenMemory;
    }

    /// <summary>Reads one message and nothing after it. What is read may point into <paramref name="body"/>.</summary>
    /// <exception cref="MessagePackSerializationException">The body is not this message in MessagePack.</exception>
    /// <exception cref="JsonException">The body is not this message in JSON.</exception>
    public T Decode(ReadOnlyMemory<byte> body, BodyEncoding encoding)
    {
        if (encoding == BodyEncoding.Json)
        {
            return JsonSerializer.Deserialize(body.Span, json) ?? throw new JsonException("the body is null");
        }

        var reader = new MessagePackReader(body);
        var value = read(ref reader);
        return reader.End ? value : throw new MessagePackSerializationException($"the message ends at byte {reader.Consumed} of {body.Length}");
    }
}

/// <summary>Every kind of message between clients and the tracker.</summary>
internal static class WireFormats
{
    public static WireFormat<SyncRequest> SyncRequest { get; } = new(SyncWire.WriteRequest, SyncWire.ReadRequest, TrackerJson.Default.SyncRequest);

    public static WireFormat<SyncResponse> SyncResponse { get; } = new(SyncWire.WriteResponse, SyncWire.ReadResponse, TrackerJson.Default.SyncResponse);

    public static WireFormat<PublishRequest> PublishRequest { get; } =
        new(CatalogWire.WritePublish, CatalogWire.ReadPublish, TrackerJson.Default.PublishRequest);

    public static WireFormat<PublishResponse> PublishResponse { get; } =
        new(CatalogWire.WritePublished, CatalogWire.ReadPublished, TrackerJson.Default.PublishResponse);

    public static WireFormat<TagRequest> TagRequest { get; } = new(CatalogWire.WriteTag, CatalogWire.ReadTag, TrackerJson.Default.TagRequest);

    public static WireFormat<CheckpointInfo> Checkpoint { get; } = new(CatalogWire.WriteInfo, CatalogWire.ReadInfo, TrackerJson.Default.CheckpointInfo);

    public static WireFormat<ImmutableArray<CheckpointInfo>> Checkpoints { get; } = ArrayOf(
        CatalogWire.WriteInfo, CatalogWire.ReadInfo, TrackerJson.Default.ImmutableArrayCheckpointInfo);

    public static WireFormat<ImmutableArray<TrackedPeer>> Peers { get; } = ArrayOf(
        PeerWire.WriteTracked, PeerWire.ReadTracked, TrackerJson.Default.ImmutableArrayTrackedPeer);

    public static WireFormat<ImmutableArray<string>> Names { get; } = ArrayOf(WriteText, ReadText, TrackerJson.Default.ImmutableArrayString);

    public static WireFormat<TrackerStatus> Status { get; } = new(StatusWire.Write, StatusWire.Read, TrackerJson.Default.TrackerStatus);

    public static WireFormat<SwarmStatus> Swarm { get; } = new(SwarmStatusWire.Write, SwarmStatusWire.Read, TrackerJson.Default.SwarmStatus);

    public static WireFormat<ErrorBody> Error { get; } = new(StatusWire.WriteError, StatusWire.ReadError, TrackerJson.Default.ErrorBody);

    private static WireFormat<ImmutableArray<T>> ArrayOf<T>(WireWrite<T> write, WireRead<T> read, JsonTypeInfo<ImmutableArray<T>> json) => new(
        (ref MessagePackWriter writer, ImmutableArray<T> values) => WriteArray(ref writer, values, write),
        (ref MessagePackReader reader) => ReadArray(ref reader, read),
        json);
}
