using System.Buffers;
using System.Collections.Immutable;
using P2PWeights.Store.Content;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Tracker.Wire;

/// <summary>Writes one value.</summary>
internal delegate void WireWrite<in T>(ref MessagePackWriter writer, T value);

/// <summary>Reads one value; throws <see cref="MessagePackSerializationException"/> for anything else.</summary>
internal delegate T WireRead<out T>(ref MessagePackReader reader);

/// <summary>The values that messages are made of.</summary>
internal static class WireValues
{
    public static void WriteDigest(ref MessagePackWriter writer, Digest digest)
    {
        Span<byte> bytes = stackalloc byte[Digest.Size];
        digest.CopyTo(bytes);
        writer.Write(bytes);
    }

    public static Digest ReadDigest(ref MessagePackReader reader)
    {
        var bytes = ReadBytes(ref reader).Span;
        return bytes.Length == Digest.Size
            ? new Digest(bytes)
            : throw new MessagePackSerializationException($"a digest has {Digest.Size} bytes, not {bytes.Length}");
    }

    /// <summary>Reads a binary that must be there. The bytes stay part of the memory that is read.</summary>
    public static ReadOnlyMemory<byte> ReadBytes(ref MessagePackReader reader)
    {
        var bytes = reader.ReadBytes() ?? throw new MessagePackSerializationException("a binary is nil");
        return bytes.IsSingleSegment ? bytes.First : bytes.ToArray();
    }

    /// <summary>Reads a string that must be there.</summary>
    public static string ReadText(ref MessagePackReader reader) =>
        reader.ReadString() ?? throw new MessagePackSerializationException("a string is nil");

    public static void WriteText(ref MessagePackWriter writer, string value) => writer.Write(value);

    public static void WriteArray<T>(ref MessagePackWriter writer, ImmutableArray<T> values, WireWrite<T> write)
    {
        writer.WriteArrayHeader(values.Length);
        foreach (var value in values)
        {
            write(ref writer, value);
        }
    }

    public static ImmutableArray<T> ReadArray<T>(ref MessagePackReader reader, WireRead<T> read)
    {
        var count = reader.ReadArrayHeader();

        // The header promises no more elements than bytes are left, yet an element is larger than a byte in memory: grow from a modest start.
        var values = ImmutableArray.CreateBuilder<T>(Math.Min(count, 4096));
        reader.Depth++;
        for (var i = 0; i < count; i++)
        {
            values.Add(read(ref reader));
        }

        reader.Depth--;
        return values.DrainToImmutable();
    }
}
