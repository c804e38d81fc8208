using System.Collections.Immutable;

namespace P2PWeights.Store.Content;

/// <summary>A tensor as a safetensors header declares it.</summary>
/// <param name="Name">Name, unique within the file.</param>
/// <param name="DType">Declared dtype, carried through untouched.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
/// <param name="Offset">First byte, from the start of the file (not of the data section).</param>
/// <param name="Length">Bytes.</param>
public sealed record SafetensorsTensor(string Name, string DType, ImmutableArray<long> Shape, long Offset, long Length);

/// <summary>
/// The header of a safetensors file: 8 bytes little-endian header length N, then N bytes of JSON, then the tensors' data without gaps or overlaps.
/// Format: https://github.com/huggingface/safetensors (README, "Format").
/// </summary>
/// <param name="DataOffset">Where the data section starts, from the start of the file: 8 + N.</param>
/// <param name="Tensors">In order of their offsets.</param>
/// <param name="Metadata">The <c>__metadata__</c> map; empty when absent.</param>
public sealed record SafetensorsHeader(long DataOffset, ImmutableArray<SafetensorsTensor> Tensors, ImmutableDictionary<string, string> Metadata)
{
    /// <summary>Largest header read, in bytes: 100 MB, the limit of the reference implementation.</summary>
    public const int MaxHeaderBytes = 100_000_000;

    /// <summary>Reads and checks the header of an open file.</summary>
    /// <param name="file">The file, open for reading; not disposed.</param>
    /// <param name="fileSize">Its size in bytes.</param>
    /// <exception cref="SafetensorsException">The header is malformed or contradicts the file; the message gives the reason.</exception>
    public static SafetensorsHeader Read(Microsoft.Win32.SafeHandles.SafeFileHandle file, long fileSize) => throw new NotImplementedException();

    /// <summary>Parses the JSON part of a header.</summary>
    /// <param name="json">The N bytes after the length.</param>
    /// <param name="fileSize">Size of the whole file, in bytes.</param>
    /// <exception cref="SafetensorsException">See <see cref="Read"/>.</exception>
    public static SafetensorsHeader Parse(ReadOnlyMemory<byte> json, long fileSize) => throw new NotImplementedException();
}

/// <summary>A safetensors header is malformed. The message gives the reason; the caller adds the file.</summary>
public sealed class SafetensorsException(string message, Exception? inner = null) : Exception(message, inner);
