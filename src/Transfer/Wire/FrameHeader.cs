using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;

namespace P2PWeights.Transfer.Wire;

/// <summary>
/// The 16 bytes in front of every frame, little-endian: magic <c>P2PW</c> (4), version (1), type (1), zero (2), request id (4), payload length (4).
/// The zero bytes are reserved and checked, so that a later version can give them a meaning.
/// </summary>
/// <param name="Type">What the payload is.</param>
/// <param name="RequestId">Ties an answer to its question; 0 in frames that answer nothing.</param>
/// <param name="Length">Bytes of payload that follow.</param>
internal readonly record struct FrameHeader(FrameType Type, uint RequestId, int Length)
{
    /// <summary>Bytes of a header.</summary>
    public const int Size = 16;

    /// <summary>Version of the protocol; a peer with another is refused.</summary>
    public const byte Version = 1;

    /// <summary>The bytes <c>P2PW</c> as a little-endian number.</summary>
    public const uint Magic = 0x57503250;

    /// <summary>Writes the header to the first 16 bytes of <paramref name="destination"/>.</summary>
    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, Magic);
        destination[4] = Version;
        destination[5] = (byte)Type;
        BinaryPrimitives.WriteUInt16LittleEndian(destination[6..], 0);
        BinaryPrimitives.WriteUInt32LittleEndian(destination[8..], RequestId);
        BinaryPrimitives.WriteInt32LittleEndian(destination[12..], Length);
    }

    /// <summary>Reads a header from the first 16 bytes of <paramref name="source"/>; on failure <paramref name="problem"/> says why.</summary>
    public static bool TryRead(ReadOnlySpan<byte> source, out FrameHeader header, [NotNullWhen(false)] out string? problem)
    {
        header = default;
        var type = (FrameType)source[5];
        var length = BinaryPrimitives.ReadUInt32LittleEndian(source[12..]);
        if (BinaryPrimitives.ReadUInt32LittleEndian(source) != Magic)
        {
            problem = $"0x{BinaryPrimitives.ReadUInt32LittleEndian(source):x8} is no frame: the magic number is 0x{Magic:x8}";
        }
        else if (source[4] != Version)
        {
            problem = $"protocol version {source[4]} is spoken, version {Version} is understood";
        }
        else if (!Enum.IsDefined(type))
        {
            problem = $"frame type {source[5]} is unknown";
        }
        else if (BinaryPrimitives.ReadUInt16LittleEndian(source[6..]) != 0)
        {
            problem = "the reserved bytes of the header are not zero";
        }
        else if (length > WireLimits.MaxPayloadBytes(type))
        {
            problem = $"a {type} frame of {length} bytes is longer than the {WireLimits.MaxPayloadBytes(type)} allowed";
        }
        else
        {
            header = new FrameHeader(type, BinaryPrimitives.ReadUInt32LittleEndian(source[8..]), (int)length);
            problem = null;
            return true;
        }

        return false;
    }
}
