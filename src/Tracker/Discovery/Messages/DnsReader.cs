using System.Buffers.Binary;

namespace P2PWeights.Tracker.Discovery.Messages;

/// <summary>
/// Reads DNS messages from anybody (RFC 1035 section 4, RFC 6762 section 18). Nothing is believed: counts are compared with the bytes that are there, a compressed name
/// may only point backwards and not often (so it ends soon), and lengths must fit what they describe. What the names of the largest packet take stays below 400 KiB.
/// </summary>
internal ref struct DnsReader
{
    private const int HeaderBytes = 12;
    private const int LeastQuestionBytes = 5;
    private const int LeastRecordBytes = 11;

    /// <summary>Most jumps in one name: honest ones take one or two, and each costs the reader time.</summary>
    private const int MaxJumps = 32;

    private const ushort Internet = 1;
    private const ushort AnyClass = 255;
    private const ushort TopBit = 0x8000;
    private const int PointerBits = 0xC0;

    private readonly ReadOnlySpan<byte> _packet;
    private int _at;

    private DnsReader(ReadOnlySpan<byte> packet)
    {
        _packet = packet;
        _at = HeaderBytes;
    }

    /// <summary>The message in a packet.</summary>
    /// <returns>Null when the packet is no whole message, or one of another kind than queries and answers without an error.</returns>
    public static DnsMessage? Read(ReadOnlySpan<byte> packet)
    {
        if (packet.Length < HeaderBytes)
        {
            return null;
        }

        var flags = BinaryPrimitives.ReadUInt16BigEndian(packet[2..]);
        if ((flags & 0x780F) != 0)
        {
            return null; // an operation or a response code other than 0: to be ignored (sections 18.3 and 18.11)
        }

        var reader = new DnsReader(packet);
        return reader.Questions(reader.Count(4)) is { } questions
            && reader.Records(reader.Count(6)) is { } answers
            && reader.Records(reader.Count(8)) is { } authorities
            && reader.Records(reader.Count(10)) is { } additionals
            ? new DnsMessage
            {
                Id = BinaryPrimitives.ReadUInt16BigEndian(packet),
                IsResponse = (flags & 0x8000) != 0,
                IsTruncated = (flags & 0x0200) != 0,
                Questions = questions,
                Answers = answers,
                Authorities = authorities,
                Additionals = additionals,
            }
            : null;
    }

    private readonly ushort Count(int offset) => BinaryPrimitives.ReadUInt16BigEndian(_packet[offset..]);

    private List<DnsQuestion>? Questions(int count)
    {
        if (count * LeastQuestionBytes > _packet.Length - _at)
        {
            return null;
        }

        var questions = new List<DnsQuestion>(count);
        for (var i = 0; i < count; i++)
        {
            if (Name(_packet.Length) is not { } name || _packet.Length - _at < 4)
            {
                return null;
            }

            var type = BinaryPrimitives.ReadUInt16BigEndian(_packet[_at..]);
            var dnsClass = BinaryPrimitives.ReadUInt16BigEndian(_packet[(_at + 2)..]);
            _at += 4;
            if ((dnsClass & ~TopBit) is Internet or AnyClass)
            {
                questions.Add(new DnsQuestion(name, (RecordType)type, (dnsClass & TopBit) != 0));
            }
        }

        return questions;
    }

    private List<DnsRecord>? Records(int count)
    {
        if (count * LeastRecordBytes > _packet.Length - _at)
        {
            return null;
        }

        var records = new List<DnsRecord>(count);
        for (var i = 0; i < count; i++)
        {
            if (Name(_packet.Length) is not { } name || _packet.Length - _at < 10)
            {
                return null;
            }

            var type = (RecordType)BinaryPrimitives.ReadUInt16BigEndian(_packet[_at..]);
            var dnsClass = BinaryPrimitives.ReadUInt16BigEndian(_packet[(_at + 2)..]);
            var ttlSeconds = BinaryPrimitives.ReadUInt32BigEndian(_packet[(_at + 4)..]);
            var length = BinaryPrimitives.ReadUInt16BigEndian(_packet[(_at + 8)..]);
            _at += 10;
            if (length > _packet.Length - _at || Data(type, length) is not { } data)
            {
                return null;
            }

            if ((dnsClass & ~TopBit) == Internet)
            {
                // A lifetime above 2^31 - 1 counts as 0 (RFC 2181 section 8).
                records.Add(new DnsRecord(name, type, ttlSeconds > int.MaxValue ? 0 : ttlSeconds, (dnsClass & TopBit) != 0, data));
            }
        }

        return records;
    }

    /// <summary>The data of a record, its names uncompressed; null when it is not what its type says.</summary>
    private byte[]? Data(RecordType type, int length)
    {
        var end = _at + length;
        var raw = _packet.Slice(_at, length);
        switch (type)
        {
            case RecordType.Pointer:
                return Name(end) is { } target && _at == end ? target.Wire.ToArray() : null;
            case RecordType.Service when length > 6:
                _at += 6;
                return Name(end) is { } host && _at == end ? [.. raw[..6], .. host.Wire] : null;
            case RecordType.Service:
            case RecordType.A when length != 4:
            case RecordType.Aaaa when length != 16:
            case RecordType.Text when !AreStrings(raw):
                return null;
            default:
                _at = end;
                return raw.ToArray();
        }
    }

    private static bool AreStrings(ReadOnlySpan<byte> data)
    {
        while (!data.IsEmpty)
        {
            if (data[0] >= data.Length)
            {
                return false;
            }

            data = data[(data[0] + 1)..];
        }

        return true;
    }

    /// <summary>A name, compressed or not, of which the part in place must end before <paramref name="end"/>; moves behind it.</summary>
    private DnsName? Name(int end)
    {
        Span<byte> wire = stackalloc byte[DnsName.MaxBytes];
        var written = 0;
        var jumps = 0;
        var at = _at;
        var begin = at; // of the run of labels that is being read: a pointer must lead before it
        while (at < end)
        {
            int length = _packet[at];
            if (length >= PointerBits)
            {
                var target = at + 1 < end ? ((length & ~PointerBits) << 8) | _packet[at + 1] : 0;
                if (target >= begin || target < HeaderBytes || jumps == MaxJumps)
                {
                    return null;
                }

                _at = jumps++ == 0 ? at + 2 : _at;
                (at, begin, end) = (target, target, _packet.Length);
                continue;
            }

            if (length > DnsName.MaxLabelBytes || at + 1 + length > end || written + length + (length == 0 ? 1 : 2) > DnsName.MaxBytes)
            {
                return null;
            }

            _packet.Slice(at, length + 1).CopyTo(wire[written..]);
            written += length + 1;
            at += length + 1;
            if (length == 0)
            {
                _at = jumps == 0 ? at : _at;
                return DnsName.FromWire(wire[..written]);
            }
        }

        return null;
    }
}
