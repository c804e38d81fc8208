using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace P2PWeights.Store.Serialization;

/// <summary>
/// Reads MessagePack from bytes that may be hostile: any form that the specification allows is read, a length is checked against the limits and against the
/// bytes that are left before anything is allocated, text must be valid UTF-8. Names and shapes are those of the package MessagePack (MessagePack-CSharp),
/// so that the package can take its place. Pass by <c>ref</c>. Source: https://github.com/msgpack/msgpack/blob/master/spec.md.
/// </summary>
public ref struct MessagePackReader
{
    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ReadOnlyMemory<byte> _memory;
    private readonly ReadOnlySpan<byte> _span;
    private readonly MessagePackLimits _limits;
    private int _position;
    private int _depth;

    /// <summary>Reads from <paramref name="memory"/>, which must not change meanwhile.</summary>
    public MessagePackReader(ReadOnlyMemory<byte> memory, MessagePackLimits? limits = null)
    {
        _memory = memory;
        _span = memory.Span;
        _limits = limits ?? MessagePackLimits.Default;
    }

    /// <summary>Reads from a sequence; one of several segments is copied into one first.</summary>
    public MessagePackReader(in ReadOnlySequence<byte> sequence, MessagePackLimits? limits = null)
        : this(sequence.IsSingleSegment ? sequence.First : sequence.ToArray(), limits)
    {
    }

    /// <summary>Whether all bytes were read.</summary>
    public readonly bool End => _position == _span.Length;

    /// <summary>Bytes read so far.</summary>
    public readonly long Consumed => _position;

    /// <summary>Kind of the next value.</summary>
    public readonly MessagePackType NextMessagePackType => MessagePackCode.TypeOf(PeekCode());

    /// <summary>
    /// How many arrays and maps the caller is inside. Only needed by callers that recurse as deep as the data says: add one before the elements, take one off after.
    /// </summary>
    /// <exception cref="MessagePackSerializationException">The limit is passed.</exception>
    public int Depth
    {
        readonly get => _depth;
        set
        {
            if (value > _limits.MaxDepth)
            {
                throw Fail(_position, $"values are nested deeper than {_limits.MaxDepth}");
            }

            _depth = value;
        }
    }

    /// <summary>Takes a nil if the next value is one.</summary>
    public bool TryReadNil()
    {
        if (PeekCode() != MessagePackCode.Nil)
        {
            return false;
        }

        _position++;
        return true;
    }

    /// <summary>Takes a nil.</summary>
    public void ReadNil()
    {
        if (!TryReadNil())
        {
            throw Unexpected("nil");
        }
    }

    public bool ReadBoolean()
    {
        var code = PeekCode();
        if (code is not (MessagePackCode.False or MessagePackCode.True))
        {
            throw Unexpected("a boolean");
        }

        _position++;
        return code == MessagePackCode.True;
    }

    /// <summary>Reads an integer of any form whose value fits.</summary>
    public int ReadInt32() => (int)ReadInteger(int.MinValue, int.MaxValue);

    /// <summary>Reads an integer of any form whose value fits.</summary>
    public uint ReadUInt32() => (uint)ReadInteger(uint.MinValue, uint.MaxValue);

    /// <summary>Reads an integer of any form whose value fits.</summary>
    public long ReadInt64() => (long)ReadInteger(long.MinValue, long.MaxValue);

    /// <summary>Reads an integer of any form whose value fits.</summary>
    public ulong ReadUInt64() => (ulong)ReadInteger(ulong.MinValue, ulong.MaxValue);

    /// <summary>Reads a float of either width, or an integer.</summary>
    public double ReadDouble()
    {
        switch (PeekCode())
        {
            case MessagePackCode.Float32:
                return BinaryPrimitives.ReadSingleBigEndian(Take(5)[1..]);
            case MessagePackCode.Float64:
                return BinaryPrimitives.ReadDoubleBigEndian(Take(9)[1..]);
            default:
                return NextMessagePackType == MessagePackType.Integer ? (double)ReadInteger(long.MinValue, ulong.MaxValue) : throw Unexpected("a float");
        }
    }

    /// <summary>Reads a string; null for nil.</summary>
    public string? ReadString()
    {
        if (TryReadNil())
        {
            return null;
        }

        var start = _position;
        var utf8 = Take(ReadStringLength());
        try
        {
            return StrictUtf8.GetString(utf8);
        }
        catch (DecoderFallbackException e)
        {
            throw Fail(start, "the string is not valid UTF-8", e);
        }
    }

    /// <summary>Takes the UTF-8 bytes of a string without checking or copying them; false for nil, which is left in place.</summary>
    public bool TryReadStringSpan(out ReadOnlySpan<byte> utf8)
    {
        if (PeekCode() == MessagePackCode.Nil)
        {
            utf8 = default;
            return false;
        }

        utf8 = Take(ReadStringLength());
        return true;
    }

    /// <summary>Takes a binary without copying it; null for nil. The bytes stay the property of whoever owns the reader's memory.</summary>
    public ReadOnlySequence<byte>? ReadBytes()
    {
        if (TryReadNil())
        {
            return null;
        }

        var length = ReadBinLength();
        var start = _position;
        Take(length);
        return new ReadOnlySequence<byte>(_memory.Slice(start, length));
    }

    /// <summary>Starts an array and returns its count. Every element has at least one byte, so no more are believed than bytes are left.</summary>
    public int ReadArrayHeader()
    {
        var start = _position;
        var code = PeekCode();
        return code switch
        {
            >= MessagePackCode.FixArray and < MessagePackCode.FixStr => CheckedCount(start, Take(1)[0] & 0x0fu, 1),
            MessagePackCode.Array16 => CheckedCount(start, TakeUInt16(), 1),
            MessagePackCode.Array32 => CheckedCount(start, TakeUInt32(), 1),
            _ => throw Unexpected("an array"),
        };
    }

    /// <summary>Starts a map and returns how many pairs it has. Every pair has at least two bytes, so no more are believed than bytes are left.</summary>
    public int ReadMapHeader()
    {
        var start = _position;
        var code = PeekCode();
        return code switch
        {
            >= MessagePackCode.FixMap and < MessagePackCode.FixArray => CheckedCount(start, Take(1)[0] & 0x0fu, 2),
            MessagePackCode.Map16 => CheckedCount(start, TakeUInt16(), 2),
            MessagePackCode.Map32 => CheckedCount(start, TakeUInt32(), 2),
            _ => throw Unexpected("a map"),
        };
    }

    /// <summary>Passes over the next value, whatever it is.</summary>
    public void Skip()
    {
        switch (NextMessagePackType)
        {
            case MessagePackType.Integer:
                ReadInteger(long.MinValue, ulong.MaxValue);
                break;
            case MessagePackType.Nil:
            case MessagePackType.Boolean:
                _position++;
                break;
            case MessagePackType.Float:
                ReadDouble();
                break;
            case MessagePackType.String:
                Take(ReadStringLength());
                break;
            case MessagePackType.Binary:
                Take(ReadBinLength());
                break;
            case MessagePackType.Array:
                SkipElements(ReadArrayHeader());
                break;
            case MessagePackType.Map:
                SkipElements(2L * ReadMapHeader());
                break;
            case MessagePackType.Extension:
                SkipExtension();
                break;
            default:
                throw Unexpected("a value");
        }
    }

    private void SkipElements(long count)
    {
        Depth++;
        for (var i = 0L; i < count; i++)
        {
            Skip();
        }

        Depth--;
    }

    private void SkipExtension()
    {
        var start = _position;
        var code = PeekCode();
        var length = code switch
        {
            MessagePackCode.Ext8 => CheckedLength(start, Take(2)[1]),
            MessagePackCode.Ext16 => CheckedLength(start, TakeUInt16()),
            MessagePackCode.Ext32 => CheckedLength(start, TakeUInt32()),
            _ => Take(1).Length << (code - MessagePackCode.FixExt1),
        };
        Take(1); // type of the extension
        Take(length);
    }

    private Int128 ReadInteger(Int128 min, Int128 max)
    {
        var start = _position;
        var code = PeekCode();
        Int128 value = code switch
        {
            <= MessagePackCode.MaxFixInt => Take(1)[0],
            >= MessagePackCode.MinNegativeFixInt => (sbyte)Take(1)[0],
            MessagePackCode.UInt8 => Take(2)[1],
            MessagePackCode.UInt16 => TakeUInt16(),
            MessagePackCode.UInt32 => TakeUInt32(),
            MessagePackCode.UInt64 => BinaryPrimitives.ReadUInt64BigEndian(Take(9)[1..]),
            MessagePackCode.Int8 => (sbyte)Take(2)[1],
            MessagePackCode.Int16 => BinaryPrimitives.ReadInt16BigEndian(Take(3)[1..]),
            MessagePackCode.Int32 => BinaryPrimitives.ReadInt32BigEndian(Take(5)[1..]),
            MessagePackCode.Int64 => BinaryPrimitives.ReadInt64BigEndian(Take(9)[1..]),
            _ => throw Unexpected("an integer"),
        };
        return value >= min && value <= max ? value : throw Fail(start, $"the integer {value} is not between {min} and {max}");
    }

    private int ReadStringLength()
    {
        var start = _position;
        var code = PeekCode();
        return code switch
        {
            >= MessagePackCode.FixStr and < MessagePackCode.Nil => CheckedLength(start, Take(1)[0] & 0x1fu),
            MessagePackCode.Str8 => CheckedLength(start, Take(2)[1]),
            MessagePackCode.Str16 => CheckedLength(start, TakeUInt16()),
            MessagePackCode.Str32 => CheckedLength(start, TakeUInt32()),
            _ => throw Unexpected("a string"),
        };
    }

    private int ReadBinLength()
    {
        var start = _position;
        var code = PeekCode();
        return code switch
        {
            MessagePackCode.Bin8 => CheckedLength(start, Take(2)[1]),
            MessagePackCode.Bin16 => CheckedLength(start, TakeUInt16()),
            MessagePackCode.Bin32 => CheckedLength(start, TakeUInt32()),
            _ => throw Unexpected("a binary"),
        };
    }

    private readonly int CheckedLength(int start, uint length)
    {
        if (length > (uint)_limits.MaxBytes)
        {
            throw Fail(start, $"{length} bytes in one value are more than the {_limits.MaxBytes} allowed");
        }

        return length <= (uint)(_span.Length - _position) ? (int)length : throw Ended(start);
    }

    private readonly int CheckedCount(int start, uint count, int bytesEach)
    {
        if (count > (uint)_limits.MaxElements)
        {
            throw Fail(start, $"{count} elements are more than the {_limits.MaxElements} allowed");
        }

        return (long)count * bytesEach <= _span.Length - _position ? (int)count : throw Ended(start);
    }

    private ushort TakeUInt16() => BinaryPrimitives.ReadUInt16BigEndian(Take(3)[1..]);

    private uint TakeUInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(5)[1..]);

    private readonly byte PeekCode() => _position < _span.Length ? _span[_position] : throw Ended(_position);

    private ReadOnlySpan<byte> Take(int count)
    {
        if (_span.Length - _position < count)
        {
            throw Ended(_position);
        }

        var taken = _span.Slice(_position, count);
        _position += count;
        return taken;
    }

    private readonly MessagePackSerializationException Unexpected(string wanted) =>
        Fail(_position, $"{wanted} was expected, 0x{_span[_position]:x2} ({NextMessagePackType}) is there");

    private readonly MessagePackSerializationException Ended(int start) =>
        Fail(start, $"the value does not end within the {_span.Length} bytes that there are");

    private static MessagePackSerializationException Fail(int position, string problem, Exception? inner = null) =>
        new($"MessagePack, byte {position}: {problem}", inner);
}
