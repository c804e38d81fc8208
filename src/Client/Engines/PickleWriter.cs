using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace P2PWeights.Client.Engines;

/// <summary>
/// Writes Python pickles of protocol 3, as far as engines need them: constants, numbers, text, bytes, tuples, lists, dictionaries, names of modules' members,
/// and calls. The opcodes are those of Python's pickletools. Nothing that an engine sends is unpickled: <see cref="PickleReader"/> is for engines of our own.
/// </summary>
/// <param name="output">Where the pickle goes.</param>
internal readonly ref struct PickleWriter(IBufferWriter<byte> output)
{
    public void Start() => output.Write((ReadOnlySpan<byte>)[0x80, 3]);

    public void Stop() => Op('.');

    public void None() => Op('N');

    public void Bool(bool value) => Op(value ? '\u0088' : '\u0089');

    public void Int(long value)
    {
        if (value is >= int.MinValue and <= int.MaxValue)
        {
            Op('J');
            BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(4), (int)value);
            output.Advance(4);
        }
        else
        {
            // LONG1: how many bytes, then two's complement.
            output.Write((ReadOnlySpan<byte>)[0x8a, 8]);
            BinaryPrimitives.WriteInt64LittleEndian(output.GetSpan(8), value);
            output.Advance(8);
        }
    }

    public void Text(string value)
    {
        Op('X');
        Length(Encoding.UTF8.GetByteCount(value));
        Encoding.UTF8.GetBytes(value, output);
    }

    public void Bytes(ReadOnlySpan<byte> value)
    {
        Op('B');
        Length(value.Length);
        output.Write(value);
    }

    /// <summary>A member of a module, e.g. a class; our own constants only, because a name is a line.</summary>
    public void Global(string module, string name)
    {
        Op('c');
        Encoding.ASCII.GetBytes($"{module}\n{name}\n", output);
    }

    /// <summary>Begins a tuple, list or dictionary whose number of elements is not known.</summary>
    public void Mark() => Op('(');

    /// <summary>Ends a tuple that began with <see cref="Mark"/>.</summary>
    public void Tuple() => Op('t');

    /// <summary>An empty list, to be followed by <see cref="Mark"/>, its elements and <see cref="Append"/>.</summary>
    public void List() => Op(']');

    public void Append() => Op('e');

    /// <summary>An empty dictionary, to be followed by <see cref="Mark"/>, keys and values in turn and <see cref="SetItems"/>.</summary>
    public void Dictionary() => Op('}');

    public void SetItems() => Op('u');

    /// <summary>Calls what was written second to last with the tuple that was written last.</summary>
    public void Call() => Op('R');

    private void Length(int bytes)
    {
        BinaryPrimitives.WriteInt32LittleEndian(output.GetSpan(4), bytes);
        output.Advance(4);
    }

    private void Op(char code)
    {
        output.GetSpan(1)[0] = (byte)code;
        output.Advance(1);
    }
}
