using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Transfer.Wire;

/// <summary>Whole control frames to bytes, and their payloads back. No IO.</summary>
internal static class FrameCodec
{
    private static readonly MessagePackLimits Limits = new()
    {
        MaxDepth = 8,
        MaxBytes = WireLimits.MaxControlBytes,
        MaxElements = WireLimits.MaxHaveOrdinals,
    };

    /// <summary>Header and payload of a message.</summary>
    public static byte[] Encode<T>(uint requestId, T message)
        where T : IFrameMessage<T>
    {
        var frame = new FrameBuffer();
        frame.Append(requestId, message);
        return frame.Frames.ToArray();
    }

    /// <summary>A frame without payload.</summary>
    public static byte[] Encode(uint requestId, FrameType type)
    {
        var frame = new byte[FrameHeader.Size];
        new FrameHeader(type, requestId, 0).Write(frame);
        return frame;
    }

    /// <summary>Reads a message from the payload of a frame of its type.</summary>
    /// <exception cref="TransferException"><see cref="TransferError.Protocol"/>: it is none; says where and why.</exception>
    public static T Decode<T>(ReadOnlyMemory<byte> payload)
        where T : IFrameMessage<T>
    {
        try
        {
            var reader = new MessagePackReader(payload, Limits);
            var fields = reader.ReadArrayHeader();
            if (fields < T.Fields)
            {
                throw Violation($"a {T.Type} frame has {fields} fields instead of {T.Fields}");
            }

            var message = T.Read(ref reader);
            for (var i = T.Fields; i < fields; i++)
            {
                reader.Skip();
            }

            return reader.End ? message : throw Violation($"a {T.Type} frame goes on behind its message");
        }
        catch (MessagePackSerializationException e)
        {
            throw new TransferException(TransferError.Protocol, $"a {T.Type} frame cannot be read: {e.Message}", e);
        }
    }

    /// <summary>A binary of a fixed length.</summary>
    public static ReadOnlySpan<byte> ReadExact(ref MessagePackReader reader, int length, string what)
    {
        var bytes = reader.ReadBytes();
        return bytes is { } sequence && sequence.Length == length ? sequence.FirstSpan : throw Violation($"{what} does not have {length} bytes");
    }

    public static Digest ReadDigest(ref MessagePackReader reader) => new(ReadExact(ref reader, Digest.Size, "a digest"));

    public static void Write(ref MessagePackWriter writer, Digest digest)
    {
        Span<byte> bytes = stackalloc byte[Digest.Size];
        digest.CopyTo(bytes);
        writer.Write(bytes);
    }

    /// <summary>An integer within bounds.</summary>
    public static int ReadInt32(ref MessagePackReader reader, int min, int max, string what)
    {
        var value = reader.ReadInt64();
        return value >= min && value <= max ? (int)value : throw Violation($"{what} is {value}, not between {min} and {max}");
    }

    public static TransferException Violation(string problem) => new(TransferError.Protocol, problem);
}
