using System.Buffers.Binary;
using System.Text;

namespace P2PWeights.Client.Engines;

/// <summary>
/// Reads what <see cref="PickleWriter"/> writes, for an engine of our own: None, booleans, numbers (<see cref="long"/>), text, bytes, tuples (arrays), lists,
/// dictionaries with text as keys, and names of modules' members, which are looked up nowhere. A call becomes <see cref="PickledCall"/>. Anything else is refused.
/// </summary>
internal ref struct PickleReader
{
    // Of the protocol's messages the deepest has 4.
    private const int MaxMarks = 16;

    private readonly List<object?> _stack = [];
    private readonly Stack<int> _marks = new();
    private ReadOnlySpan<byte> _rest;

    private PickleReader(ReadOnlySpan<byte> pickle) => _rest = pickle;

    /// <exception cref="InvalidDataException">It is no pickle, or holds what is not known here.</exception>
    public static object? Read(ReadOnlySpan<byte> pickle)
    {
        var reader = new PickleReader(pickle);
        return reader.Take(2) is [0x80, 3] ? reader.Run() : throw new InvalidDataException("a message is no pickle of protocol 3");
    }

    private object? Run()
    {
        while (true)
        {
            var code = (char)Take(1)[0];
            switch (code)
            {
                case 'N': _stack.Add(null); break;
                case '\u0088': _stack.Add(true); break;
                case '\u0089': _stack.Add(false); break;
                case 'J': _stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Take(4))); break;
                case '\u008a': _stack.Add(Take(1) is [8] ? BinaryPrimitives.ReadInt64LittleEndian(Take(8)) : throw Wrong("a number is not of 8 bytes")); break;
                case 'X': _stack.Add(Encoding.UTF8.GetString(Take(Length()))); break;
                case 'B': _stack.Add(Take(Length()).ToArray()); break;
                case 'c': _stack.Add(new PickledName(Line(), Line())); break;
                case '(': Mark(); break;
                case ']': _stack.Add(new List<object?>()); break;
                case '}': _stack.Add(new Dictionary<string, object?>()); break;
                case 't': _stack.Add(PopToMark()); break;
                case 'e': Append(); break;
                case 'u': SetItems(); break;
                case 'R': _stack.Add(new PickledCall(Pop(), Pop())); break;
                case '.': return _stack.Count > 0 && _rest.IsEmpty ? _stack[^1] : throw Wrong("it does not end where it should");
                default: throw Wrong($"opcode 0x{(int)code:x2}");
            }
        }
    }

    private void Mark()
    {
        _marks.Push(_stack.Count);
        if (_marks.Count > MaxMarks)
        {
            throw Wrong("it is nested too deep");
        }
    }

    private void Append()
    {
        var items = PopToMark();
        (_stack is [.., List<object?> list] ? list : throw Wrong("elements of no list")).AddRange(items);
    }

    private void SetItems()
    {
        var items = PopToMark();
        var dictionary = _stack is [.., Dictionary<string, object?> last] && items.Length % 2 == 0 ? last : throw Wrong("items of no dictionary");
        for (var i = 0; i < items.Length; i += 2)
        {
            dictionary[items[i] as string ?? throw Wrong("a key is no text")] = items[i + 1];
        }
    }

    private object? Pop()
    {
        if (_stack.Count == 0)
        {
            throw Wrong("it takes what is not there");
        }

        var last = _stack[^1];
        _stack.RemoveAt(_stack.Count - 1);
        return last;
    }

    private object?[] PopToMark()
    {
        var start = _marks.TryPop(out var mark) && mark <= _stack.Count ? mark : throw Wrong("an end without a beginning");
        object?[] items = [.. _stack.Skip(start)];
        _stack.RemoveRange(start, items.Length);
        return items;
    }

    private string Line()
    {
        var end = _rest.IndexOf((byte)'\n');
        var line = Encoding.ASCII.GetString(Take(end < 0 ? throw Wrong("a name does not end") : end));
        Take(1);
        return line;
    }

    private int Length() => BinaryPrimitives.ReadInt32LittleEndian(Take(4)) is >= 0 and var length ? length : throw Wrong("a length is negative");

    private ReadOnlySpan<byte> Take(int count)
    {
        if (count > _rest.Length)
        {
            throw Wrong("it ends too early");
        }

        var taken = _rest[..count];
        _rest = _rest[count..];
        return taken;
    }

    private static InvalidDataException Wrong(string what) => new($"a pickle cannot be read: {what}");
}

/// <summary>A member of a module.</summary>
internal sealed record PickledName(string Module, string Name);

/// <summary>A call.</summary>
/// <param name="Arguments">A tuple, as a rule.</param>
/// <param name="Function">A <see cref="PickledName"/>, as a rule.</param>
internal sealed record PickledCall(object? Arguments, object? Function);
