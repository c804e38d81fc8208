using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;

namespace P2PWeights.Native.Verbs;

/// <summary>
/// A port's global identifier (<c>union ibv_gid</c>): 16 bytes in network order, an IPv6 address in form; with RoCE v2 really the address of the
/// network interface behind the port, IPv4 as <c>::ffff:a.b.c.d</c>.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct Gid
{
    /// <summary>Bytes of one.</summary>
    public const int Size = 16;

    // As they lie in memory, big-endian; two of them because the C union is aligned to 8 bytes.
    private readonly ulong _prefix;
    private readonly ulong _interface;

    /// <param name="bytes">16 bytes, in network order.</param>
    public Gid(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, Size);
        (_prefix, _interface) = (MemoryMarshal.Read<ulong>(bytes), MemoryMarshal.Read<ulong>(bytes[8..]));
    }

    private ulong Prefix => Host(_prefix);

    private ulong Interface => Host(_interface);

    /// <summary>All zero: an entry of the table that is not in use.</summary>
    public bool IsEmpty => (_prefix | _interface) == 0;

    /// <summary><c>::ffff:a.b.c.d</c>, an IPv4 address (RFC 4291, section 2.5.5.2).</summary>
    public bool IsIPv4Mapped => Prefix == 0 && Interface >> 32 == 0xffff;

    /// <summary><c>fe80::/10</c>: valid on one link only (RFC 4291, section 2.5.6).</summary>
    public bool IsLinkLocal => Prefix >> 54 == 0xfe80 >> 6;

    /// <summary>Reads what <see cref="ToString"/> writes, or any IPv6 or IPv4 address.</summary>
    /// <exception cref="FormatException">Not an address.</exception>
    public static Gid Parse(string text) => new(IPAddress.Parse(text).MapToIPv6().GetAddressBytes());

    /// <param name="destination">At least 16 bytes; gets the identifier in network order.</param>
    public void CopyTo(Span<byte> destination)
    {
        MemoryMarshal.Write(destination, _prefix);
        MemoryMarshal.Write(destination[8..], _interface);
    }

    /// <summary>As an IPv6 address: <c>fe80::1</c>, <c>::ffff:10.9.0.1</c>.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Size];
        CopyTo(bytes);
        return new IPAddress(bytes).ToString();
    }

    private static ulong Host(ulong network) => BitConverter.IsLittleEndian ? BinaryPrimitives.ReverseEndianness(network) : network;
}
