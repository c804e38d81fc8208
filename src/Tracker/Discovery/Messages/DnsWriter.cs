using System.Buffers.Binary;
using System.Text;

namespace P2PWeights.Tracker.Discovery.Messages;

/// <summary>Writes DNS messages, with names compressed as RFC 1035 section 4.1.4 says.</summary>
internal sealed class DnsWriter
{
    /// <summary>Most bytes of a packet that fits an Ethernet frame over IPv4 and IPv6.</summary>
    public const int MaxBytes = 1440;

    private const int HeaderBytes = 12;
    private const int LastPointer = 0x3FFF;
    private const ushort Internet = 1;
    private const ushort TopBit = 0x8000;

    private readonly byte[] _packet;
    private readonly Dictionary<string, int> _names = [];
    private int _length = HeaderBytes;

    private DnsWriter(int maxBytes) => _packet = new byte[maxBytes];

    /// <summary>
    /// The packets of a message. What does not fit one goes on in others: known answers as RFC 6762 section 7.2 has it, answers as further responses. Additional records are left
    /// out where there is no room.
    /// </summary>
    /// <exception cref="ArgumentException">A single record, the questions or the authorities do not fit a packet.</exception>
    public static IReadOnlyList<byte[]> Write(DnsMessage message, int maxBytes = MaxBytes)
    {
        var packets = new List<byte[]>();
        var answers = new Queue<DnsRecord>(message.Answers);
        do
        {
            var isFirst = packets.Count == 0;
            var writer = new DnsWriter(maxBytes);
            var questions = isFirst ? message.Questions : [];
            var authorities = isFirst ? message.Authorities : [];
            if (!questions.All(writer.TryAdd))
            {
                throw new ArgumentException($"{questions.Count} questions do not fit {maxBytes} bytes", nameof(message));
            }

            // Authorities come behind the answers, and must not be pushed out by them.
            var reserved = authorities.Sum(record => record.Name.Wire.Length + 10 + record.Data.Length);
            var answered = 0;
            while (answers.TryPeek(out var answer) && writer._packet.Length - writer._length >= reserved && writer.TryAdd(answer))
            {
                answers.Dequeue();
                answered++;
            }

            if (!authorities.All(writer.TryAdd) || (answered == 0 && answers.Count > 0 && !isFirst))
            {
                throw new ArgumentException($"the records of a message do not fit {maxBytes} bytes", nameof(message));
            }

            var additional = answers.Count == 0 ? message.Additionals.TakeWhile(writer.TryAdd).Count() : 0;
            packets.Add(writer.Finish(message, answers.Count > 0, questions.Count, answered, authorities.Count, additional));
        }
        while (answers.Count > 0);
        return packets;
    }

    private byte[] Finish(DnsMessage message, bool moreFollows, params ReadOnlySpan<int> counts)
    {
        BinaryPrimitives.WriteUInt16BigEndian(_packet, message.Id);
        var isTruncated = message.IsTruncated || (moreFollows && (!message.IsResponse || message.Id != 0));
        BinaryPrimitives.WriteUInt16BigEndian(_packet.AsSpan(2), (ushort)((message.IsResponse ? 0x8400 : 0) | (isTruncated ? 0x0200 : 0)));
        for (var i = 0; i < counts.Length; i++)
        {
            BinaryPrimitives.WriteUInt16BigEndian(_packet.AsSpan(4 + (2 * i)), (ushort)counts[i]);
        }

        return _packet[.._length];
    }

    private bool TryAdd(DnsQuestion question) => TryWrite(() => Write(question.Name) && Write((ushort)question.Type) && Write((ushort)(Internet | (question.WantsUnicast ? TopBit : 0))));

    private bool TryAdd(DnsRecord record) => TryWrite(() =>
    {
        if (!(Write(record.Name) && Write((ushort)record.Type) && Write((ushort)(Internet | (record.IsUnique ? TopBit : 0)))
            && Write((ushort)(record.TtlSeconds >> 16)) && Write((ushort)record.TtlSeconds)))
        {
            return false;
        }

        var lengthAt = _length;
        var isWritten = Write((ushort)0) && record.Type switch
        {
            RecordType.Pointer => Write(record.Target),
            RecordType.Service => Write(record.Data.AsSpan(0, 6)) && Write(record.Host),
            _ => Write(record.Data),
        };
        if (isWritten)
        {
            BinaryPrimitives.WriteUInt16BigEndian(_packet.AsSpan(lengthAt), (ushort)(_length - lengthAt - 2));
        }

        return isWritten;
    });

    /// <summary>All of something or nothing.</summary>
    private bool TryWrite(Func<bool> write)
    {
        var before = _length;
        if (write())
        {
            return true;
        }

        _length = before;
        foreach (var (name, at) in _names)
        {
            if (at >= before)
            {
                _names.Remove(name);
            }
        }

        return false;
    }

    private bool Write(DnsName name)
    {
        for (var rest = name; rest.Wire[0] != 0; rest = rest.Parent)
        {
            var key = Encoding.Latin1.GetString(rest.Wire);
            if (_names.TryGetValue(key, out var known))
            {
                return Write((ushort)(0xC000 | known));
            }

            if (_length <= LastPointer)
            {
                _names[key] = _length;
            }

            if (!Write(rest.Wire[..(rest.Wire[0] + 1)]))
            {
                return false;
            }
        }

        return Write([0]);
    }

    private bool Write(ushort number) => Write([(byte)(number >> 8), (byte)number]);

    private bool Write(ReadOnlySpan<byte> bytes)
    {
        if (!bytes.TryCopyTo(_packet.AsSpan(_length)))
        {
            return false;
        }

        _length += bytes.Length;
        return true;
    }
}
