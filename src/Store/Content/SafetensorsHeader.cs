using System.Buffers.Binary;
using System.Collections.Immutable;
using Microsoft.Win32.SafeHandles;

namespace P2PWeights.Store.Content;

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

    /// <summary>Bytes of the length in front of the JSON.</summary>
    internal const int LengthBytes = 8;

    /// <summary>Reads and checks the header of an open file.</summary>
    /// <param name="file">The file, open for reading; not disposed.</param>
    /// <param name="fileSize">Its size in bytes.</param>
    /// <exception cref="SafetensorsException">The header is malformed or contradicts the file; the message gives the reason.</exception>
    /// <exception cref="IOException">The operating system failed a read.</exception>
    public static SafetensorsHeader Read(SafeFileHandle file, long fileSize)
    {
        if (fileSize < LengthBytes)
        {
            throw new SafetensorsException($"the file has {fileSize} bytes, fewer than the {LengthBytes} of the header length");
        }

        Span<byte> lengthBytes = stackalloc byte[LengthBytes];
        ReadExactly(file, lengthBytes, 0);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(lengthBytes);
        CheckLength(length, fileSize);
        var json = new byte[length];
        ReadExactly(file, json, LengthBytes);
        return Parse(json, fileSize);
    }

    /// <summary>Parses the JSON part of a header.</summary>
    /// <param name="json">The N bytes after the length.</param>
    /// <param name="fileSize">Size of the whole file, in bytes.</param>
    /// <exception cref="SafetensorsException">See <see cref="Read"/>.</exception>
    public static SafetensorsHeader Parse(ReadOnlyMemory<byte> json, long fileSize)
    {
        CheckLength((ulong)json.Length, fileSize);
        return SafetensorsHeaderParser.Parse(json.Span, fileSize);
    }

    private static void CheckLength(ulong length, long fileSize)
    {
        if (length > MaxHeaderBytes)
        {
            throw new SafetensorsException($"the header is said to have {length} bytes; more than {MaxHeaderBytes} are not allowed");
        }

        if ((long)length > fileSize - LengthBytes)
        {
            throw new SafetensorsException($"the header is said to have {length} bytes, which goes past the end of the file of {fileSize} bytes");
        }
    }

    private static void ReadExactly(SafeFileHandle file, Span<byte> destination, long offset)
    {
        while (destination.Length > 0)
        {
            var read = RandomAccess.Read(file, destination, offset);
            if (read == 0)
            {
                throw new SafetensorsException($"the file ended at byte {offset}, inside its header, while it was read: it is being changed");
            }

            destination = destination[read..];
            offset += read;
        }
    }
}
