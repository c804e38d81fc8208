using System.Buffers.Binary;
using System.Text;

namespace P2PWeights.Client.Engines.Zmtp;

/// <summary>
/// The bytes of ZMTP 3.0 and 3.1 with the NULL mechanism, for REQ and REP sockets (https://rfc.zeromq.org/spec/23/, https://rfc.zeromq.org/spec/37/).
/// Reads what a peer sent, so every method refuses what it does not know with <see cref="InvalidDataException"/>.
/// </summary>
internal static class ZmtpCodec
{
    public const int GreetingBytes = 64;

    /// <summary>Flag of a frame that another frame of the same message follows.</summary>
    public const byte More = 1;

    /// <summary>Flag of a frame whose length is 8 bytes and not 1.</summary>
    public const byte Long = 2;

    /// <summary>Flag of a command.</summary>
    public const byte Command = 4;

    /// <summary>Longest frame header: flags and 8 bytes.</summary>
    public const int MaxHeaderBytes = 9;

    // A READY has a few properties of some bytes each.
    public const int MaxCommandBytes = 4096;

    /// <summary>What both sides send first: signature, version 3.1, mechanism NULL, which has neither client nor server.</summary>
    public static ReadOnlySpan<byte> Greeting =>
    [
        0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F,
        3, 1,
        (byte)'N', (byte)'U', (byte)'L', (byte)'L', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];

    /// <summary>The command that tells the peer what we are, a REQ socket, as a whole frame.</summary>
    public static ReadOnlySpan<byte> Ready => "\u0004\u0019\u0005READY\u000bSocket-Type\0\0\0\u0003REQ"u8;

    /// <summary>The same for a REP socket.</summary>
    public static ReadOnlySpan<byte> ReadyToReply => "\u0004\u0019\u0005READY\u000bSocket-Type\0\0\0\u0003REP"u8;

    /// <summary>Looks at a peer's greeting.</summary>
    public static void CheckGreeting(ReadOnlySpan<byte> greeting)
    {
        if (greeting[0] != 0xFF || greeting[9] != 0x7F)
        {
            throw new InvalidDataException("it does not speak ZMTP");
        }

        if (greeting[10] < 3)
        {
            throw new InvalidDataException($"it speaks ZMTP {greeting[10]}; 3 is needed, which libzmq has since version 4");
        }

        if (!greeting[12..32].SequenceEqual(Greeting[12..32]))
        {
            throw new InvalidDataException("it wants a security mechanism other than NULL");
        }
    }

    /// <summary>Looks at the body of the peer's first command.</summary>
    /// <param name="kind">What kind of socket it must be.</param>
    /// <param name="other">Or this.</param>
    public static void CheckReady(ReadOnlySpan<byte> body, ReadOnlySpan<byte> kind, ReadOnlySpan<byte> other)
    {
        var rest = Named(body, out var name);
        if (name.SequenceEqual("ERROR"u8))
        {
            throw new InvalidDataException($"it refuses the connection: {EngineText.Clean(rest.IsEmpty ? rest : rest[1..])}");
        }

        if (!name.SequenceEqual("READY"u8))
        {
            throw new InvalidDataException($"it sent the command {EngineText.Clean(name)} where READY was due");
        }

        while (!rest.IsEmpty)
        {
            rest = Named(rest, out var property);
            if (rest.Length < 4 || BinaryPrimitives.ReadUInt32BigEndian(rest) is var length && length > rest.Length - 4)
            {
                throw new InvalidDataException("a property of its READY is longer than the command");
            }

            var value = rest.Slice(4, (int)length);
            rest = rest[(4 + (int)length)..];
            // Names of properties do not depend on case (RFC 23).
            if (Ascii.EqualsIgnoreCase(property, "Socket-Type"u8) && !value.SequenceEqual(kind) && !value.SequenceEqual(other))
            {
                throw new InvalidDataException($"it is a {EngineText.Clean(value)} socket, not {EngineText.Clean(kind)}");
            }
        }
    }

    /// <summary>The answer to a command that came between messages, a whole frame: a PONG for a PING; null when none is due.</summary>
    public static byte[]? Answer(ReadOnlySpan<byte> body)
    {
        var rest = Named(body, out var name);
        if (!name.SequenceEqual("PING"u8))
        {
            return null;
        }

        // PING: time to live, 2 bytes, and up to 16 bytes that the PONG repeats.
        if (rest.Length is < 2 or > 18)
        {
            throw new InvalidDataException($"its PING has {rest.Length} bytes, not 2 to 18");
        }

        return [Command, (byte)(5 + rest.Length - 2), 4, .. "PONG"u8, .. rest[2..]];
    }

    /// <summary>Writes the header of a frame.</summary>
    /// <returns>Its bytes.</returns>
    public static int WriteHeader(Span<byte> destination, byte flags, int length)
    {
        if (length <= byte.MaxValue)
        {
            destination[0] = flags;
            destination[1] = (byte)length;
            return 2;
        }

        destination[0] = (byte)(flags | Long);
        BinaryPrimitives.WriteInt64BigEndian(destination[1..], length);
        return MaxHeaderBytes;
    }

    /// <summary>Checks the flags of a frame.</summary>
    /// <returns>How many bytes of length follow.</returns>
    public static int LengthBytes(byte flags)
    {
        if ((flags & ~(More | Long | Command)) != 0 || (flags & (More | Command)) == (More | Command))
        {
            throw new InvalidDataException($"a frame has the flags 0x{flags:x2}");
        }

        return (flags & Long) != 0 ? 8 : 1;
    }

    /// <summary>The length of a frame, checked against what its kind may have.</summary>
    public static int CheckLength(ReadOnlySpan<byte> length, int limit)
    {
        var value = length.Length == 1 ? length[0] : BinaryPrimitives.ReadUInt64BigEndian(length);
        return value <= (ulong)limit ? (int)value : throw new InvalidDataException($"a frame has {value} bytes, {limit} are allowed");
    }

    /// <summary>Takes a name with its length in one byte off the front.</summary>
    private static ReadOnlySpan<byte> Named(ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> name)
    {
        if (bytes.IsEmpty || bytes[0] > bytes.Length - 1)
        {
            throw new InvalidDataException("a name is longer than its command");
        }

        name = bytes.Slice(1, bytes[0]);
        return bytes[(1 + bytes[0])..];
    }
}
