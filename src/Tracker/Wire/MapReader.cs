using System.Text;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Tracker.Wire;

/// <summary>
/// Reads a map with string keys field by field. Every field of the message must be there once; keys that this version does not know are passed over,
/// so that a later version may add fields.
/// </summary>
internal struct MapReader
{
    private readonly FieldNames _names;
    private int _left;
    private ulong _seen;

    private MapReader(FieldNames names, int count) => (_names, _left) = (names, count);

    /// <summary>Reads the header of the map.</summary>
    public static MapReader Start(ref MessagePackReader reader, FieldNames names) => new(names, reader.ReadMapHeader());

    /// <summary>The name of the next known field, whose value is to be read next; null at the end.</summary>
    /// <exception cref="MessagePackSerializationException">A field is missing or stands there twice.</exception>
    public string? Next(ref MessagePackReader reader)
    {
        while (_left > 0)
        {
            _left--;
            if (!reader.TryReadStringSpan(out var key))
            {
                throw new MessagePackSerializationException($"a key of the {_names.Message} is nil");
            }

            var index = _names.IndexOf(key);
            if (index < 0)
            {
                reader.Skip();
                continue;
            }

            if ((_seen & (1UL << index)) != 0)
            {
                throw new MessagePackSerializationException($"the field '{_names[index]}' of the {_names.Message} stands there twice");
            }

            _seen |= 1UL << index;
            return _names[index];
        }

        for (var i = 0; i < _names.Count; i++)
        {
            if ((_seen & (1UL << i)) == 0)
            {
                throw new MessagePackSerializationException($"the field '{_names[i]}' of the {_names.Message} is missing");
            }
        }

        return null;
    }
}

/// <summary>The fields of one kind of message: the same names in MessagePack and in JSON.</summary>
internal sealed class FieldNames
{
    private readonly string[] _names;
    private readonly byte[][] _utf8;

    public FieldNames(string message, params string[] names)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(names.Length, 64);
        Message = message;
        _names = names;
        _utf8 = [.. names.Select(Encoding.UTF8.GetBytes)];
    }

    /// <summary>What the message is called in error texts.</summary>
    public string Message { get; }

    public int Count => _names.Length;

    public string this[int index] => _names[index];

    /// <summary>Position of a name; -1 for one that is not a field.</summary>
    public int IndexOf(ReadOnlySpan<byte> utf8)
    {
        for (var i = 0; i < _utf8.Length; i++)
        {
            if (utf8.SequenceEqual(_utf8[i]))
            {
                return i;
            }
        }

        return -1;
    }
}
