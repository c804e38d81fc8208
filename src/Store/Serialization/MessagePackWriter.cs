using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace P2PWeights.Store.Serialization;

/// <summary>
/// Writes MessagePack, always in the shortest form, so that equal values have equal bytes. Names and shapes are those of the package MessagePack
/// (MessagePack-CSharp), so that the package can take its place. Buffers: nothing is surely in the output before <see cref="Flush"/>; pass by <c>ref</c>.
/// Source: https://github.com/msgpack/msgpack/blob/master/spec.md.
/// </summary>
public ref struct MessagePackWriter(IBufferWriter<byte> output)
{
    private const int MaxHeaderBytes = 9;

    private static readonly UTF8Encoding StrictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly IBufferWriter<byte> _output = output;
    private Span<byte> _buffer;
    private int _used;

    /// <summary>Hands everything written so far to the output.</summary>
    public void Flush()
    {
        if (_used > 0)
        {
            _output.Advance(_used);
        }

        _buffer = default;
        _used = 0;
    }

    public void WriteNil() => WriteByte(MessagePackCode.Nil);

    public void Write(bool value) => WriteByte(value ? MessagePackCode.True : MessagePackCode.False);

    public void Write(int value) => Write((long)value);

    public void Write(uint value) => Write((ulong)value);

    public void Write(long value)
    {
        if (value >= 0)
        {
            Write((ulong)value);
        }
        else if (value >= -32)
        {
            WriteByte((byte)value);
        }
        else if (value >= sbyte.MinValue)
        {
            var span = Reserve(2);
            span[0] = MessagePackCode.Int8;
            span[1] = (byte)value;
        }
        else if (value >= short.MinValue)
        {
            var span = Reserve(3);
            span[0] = MessagePackCode.Int16;
            BinaryPrimitives.WriteInt16BigEndian(span[1..], (short)value);
        }
        else if (value >= int.MinValue)
        {
            var span = Reserve(5);
            span[0] = MessagePackCode.Int32;
            BinaryPrimitives.WriteInt32BigEndian(span[1..], (int)value);
        }
        else
        {
            var span = Reserve(9);
            span[0] = MessagePackCode.Int64;
            BinaryPrimitives.WriteInt64BigEndian(span[1..], value);
        }
    }

    public void Write(ulong value)
    {
        if (value <= MessagePackCode.MaxFixInt)
        {
            WriteByte((byte)value);
        }
        else if (value <= byte.MaxValue)
        {
            WriteHeader8(MessagePackCode.UInt8, (byte)value);
        }
        else if (value <= ushort.MaxValue)
        {
            WriteHeader16(MessagePackCode.UInt16, (ushort)value);
        }
        else if (value <= uint.MaxValue)
        {
            WriteHeader32(MessagePackCode.UInt32, (uint)value);
        }
        else
        {
            var span = Reserve(9);
            span[0] = MessagePackCode.UInt64;
            BinaryPrimitives.WriteUInt64BigEndian(span[1..], value);
        }
    }

    public void Write(float value)
    {
        var span = Reserve(5);
        span[0] = MessagePackCode.Float32;
        BinaryPrimitives.WriteSingleBigEndian(span[1..], value);
    }

    public void Write(double value)
    {
        var span = Reserve(9);
        span[0] = MessagePackCode.Float64;
        BinaryPrimitives.WriteDoubleBigEndian(span[1..], value);
    }

    /// <summary>Writes a string as UTF-8, or nil for null.</summary>
    /// <exception cref="MessagePackSerializationException">The string has a lone surrogate, which UTF-8 cannot hold.</exception>
    public void Write(string? value)
    {
        if (value is null)
        {
            WriteNil();
            return;
        }

        int length;
        try
        {
            length = StrictUtf8.GetByteCount(value);
        }
        catch (EncoderFallbackException e)
        {
            throw new MessagePackSerializationException($"a string with a lone surrogate at index {e.Index} cannot be written as UTF-8", e);
        }

        WriteStringHeader(length);
        StrictUtf8.GetBytes(value, Reserve(length));
    }

    /// <summary>Writes text that is UTF-8 already.</summary>
    public void WriteString(scoped ReadOnlySpan<byte> utf8)
    {
        WriteStringHeader(utf8.Length);
        utf8.CopyTo(Reserve(utf8.Length));
    }

    /// <summary>Writes a binary.</summary>
    public void Write(scoped ReadOnlySpan<byte> value)
    {
        WriteBinHeader(value.Length);
        value.CopyTo(Reserve(value.Length));
    }

    /// <summary>Starts an array; <paramref name="count"/> values must follow.</summary>
    public void WriteArrayHeader(int count) => WriteCount(count, MessagePackCode.FixArray, MessagePackCode.Array16, MessagePackCode.Array32);

    /// <summary>Starts a map; <paramref name="count"/> pairs of key and value must follow.</summary>
    public void WriteMapHeader(int count) => WriteCount(count, MessagePackCode.FixMap, MessagePackCode.Map16, MessagePackCode.Map32);

    /// <summary>Starts a binary; <paramref name="length"/> bytes must follow, with <see cref="WriteRaw"/>.</summary>
    public void WriteBinHeader(int length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        if (length <= byte.MaxValue)
        {
            WriteHeader8(MessagePackCode.Bin8, (byte)length);
        }
        else if (length <= ushort.MaxValue)
        {
            WriteHeader16(MessagePackCode.Bin16, (ushort)length);
        }
        else
        {
            WriteHeader32(MessagePackCode.Bin32, (uint)length);
        }
    }

    /// <summary>Copies bytes as they are: the body of a binary, or values that are encoded already.</summary>
    public void WriteRaw(scoped ReadOnlySpan<byte> bytes) => bytes.CopyTo(Reserve(bytes.Length));

    private void WriteStringHeader(int length)
    {
        if (length <= MessagePackCode.MaxFixStr)
        {
            WriteByte((byte)(MessagePackCode.FixStr | length));
        }
        else if (length <= byte.MaxValue)
        {
            WriteHeader8(MessagePackCode.Str8, (byte)length);
        }
        else if (length <= ushort.MaxValue)
        {
            WriteHeader16(MessagePackCode.Str16, (ushort)length);
        }
        else
        {
            WriteHeader32(MessagePackCode.Str32, (uint)length);
        }
    }

    private void WriteCount(int count, byte fix, byte code16, byte code32)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        if (count <= MessagePackCode.MaxFixCount)
        {
            WriteByte((byte)(fix | count));
        }
        else if (count <= ushort.MaxValue)
        {
            WriteHeader16(code16, (ushort)count);
        }
        else
        {
            WriteHeader32(code32, (uint)count);
        }
    }

    private void WriteByte(byte value) => Reserve(1)[0] = value;

    private void WriteHeader8(byte code, byte value)
    {
        var span = Reserve(2);
        span[0] = code;
        span[1] = value;
    }

    private void WriteHeader16(byte code, ushort value)
    {
        var span = Reserve(3);
        span[0] = code;
        BinaryPrimitives.WriteUInt16BigEndian(span[1..], value);
    }

    private void WriteHeader32(byte code, uint value)
    {
        var span = Reserve(5);
        span[0] = code;
        BinaryPrimitives.WriteUInt32BigEndian(span[1..], value);
    }

    /// <summary>The next <paramref name="count"/> bytes of the output, counted as written.</summary>
    private Span<byte> Reserve(int count)
    {
        if (_buffer.Length - _used < count)
        {
            Flush();
            _buffer = _output.GetSpan(Math.Max(count, MaxHeaderBytes));
        }

        var span = _buffer.Slice(_used, count);
        _used += count;
        return span;
    }
}
