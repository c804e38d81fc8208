using System.Buffers;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Store.Content;

/// <summary>How content values stand in MessagePack, and the reads that refuse nil.</summary>
public static class MessagePackContent
{
    /// <summary>Writes a digest as a binary of 32 bytes.</summary>
    public static void Write(this ref MessagePackWriter writer, Digest digest)
    {
        Span<byte> bytes = stackalloc byte[Digest.Size];
        digest.CopyTo(bytes);
        writer.Write(bytes);
    }

    /// <summary>Reads a binary of 32 bytes.</summary>
    /// <exception cref="MessagePackSerializationException">Something else is there.</exception>
    public static Digest ReadDigest(this ref MessagePackReader reader)
    {
        var bytes = reader.ReadRequiredBytes();
        return bytes.Length == Digest.Size
            ? new Digest(bytes.Span)
            : throw new MessagePackSerializationException($"MessagePack, byte {reader.Consumed}: a digest has {Digest.Size} bytes, not {bytes.Length}");
    }

    /// <summary>Reads a string where nil is not allowed.</summary>
    /// <exception cref="MessagePackSerializationException">Something else is there.</exception>
    public static string ReadRequiredString(this ref MessagePackReader reader) =>
        reader.ReadString() ?? throw new MessagePackSerializationException($"MessagePack, byte {reader.Consumed}: a string was expected, nil is there");

    /// <summary>Takes a binary where nil is not allowed; the bytes are not copied.</summary>
    /// <exception cref="MessagePackSerializationException">Something else is there.</exception>
    public static ReadOnlyMemory<byte> ReadRequiredBytes(this ref MessagePackReader reader)
    {
        var bytes = reader.ReadBytes() ?? throw new MessagePackSerializationException($"MessagePack, byte {reader.Consumed}: a binary was expected, nil is there");
        return bytes.IsSingleSegment ? bytes.First : bytes.ToArray();
    }
}
