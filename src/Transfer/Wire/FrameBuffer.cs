using System.Buffers;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Transfer.Wire;

/// <summary>Control frames on their way out, one behind the other, in memory that is used again and again. One user at a time.</summary>
internal sealed class FrameBuffer : IBufferWriter<byte>
{
    private byte[] _bytes = new byte[256];
    private int _used;

    /// <summary>The frames, until the next <see cref="Clear"/> or append.</summary>
    public ReadOnlyMemory<byte> Frames => _bytes.AsMemory(0, _used);

    /// <summary>Adds header and payload of a message.</summary>
    public void Append<T>(uint requestId, T message)
        where T : IFrameMessage<T>
    {
        var start = _used;
        Grow(FrameHeader.Size);
        Advance(FrameHeader.Size);
        var writer = new MessagePackWriter(this);
        writer.WriteArrayHeader(T.Fields);
        message.Write(ref writer);
        writer.Flush();
        new FrameHeader(T.Type, requestId, _used - start - FrameHeader.Size).Write(_bytes.AsSpan(start));
    }

    /// <summary>Adds a frame without payload.</summary>
    public void Append(uint requestId, FrameType type)
    {
        new FrameHeader(type, requestId, 0).Write(GetSpan(FrameHeader.Size));
        Advance(FrameHeader.Size);
    }

    public void Clear() => _used = 0;

    public void Advance(int count) => _used += count;

    public Memory<byte> GetMemory(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsMemory(_used);
    }

    public Span<byte> GetSpan(int sizeHint = 0)
    {
        Grow(sizeHint);
        return _bytes.AsSpan(_used);
    }

    private void Grow(int more)
    {
        if (_bytes.Length - _used >= Math.Max(more, 1))
        {
            return;
        }

        Array.Resize(ref _bytes, Math.Max(2 * _bytes.Length, _used + more));
    }
}
