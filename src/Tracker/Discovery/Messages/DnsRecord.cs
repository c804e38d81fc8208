using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace P2PWeights.Tracker.Discovery.Messages;

/// <summary>A record of the Internet class.</summary>
/// <param name="TtlSeconds">How long it may be kept; 0 is a goodbye.</param>
/// <param name="IsUnique">It stands for all records of its name and type: older ones are to be forgotten (the cache-flush bit; RFC 6762 section 10.2).</param>
/// <param name="Data">The data with its names uncompressed. Never changed.</param>
internal sealed record DnsRecord(DnsName Name, RecordType Type, uint TtlSeconds, bool IsUnique, byte[] Data)
{
    private const int ServiceHeaderBytes = 6;

    /// <summary>The same name, type and data; how long it is kept does not matter.</summary>
    public bool IsSame(DnsRecord other) => IsSameSet(other) && Data.AsSpan().SequenceEqual(other.Data);

    /// <summary>The same name and type.</summary>
    public bool IsSameSet(DnsRecord other) => Type == other.Type && Name.Equals(other.Name);

    public static DnsRecord Pointer(DnsName name, DnsName target, uint ttlSeconds) => new(name, RecordType.Pointer, ttlSeconds, IsUnique: false, target.Wire.ToArray());

    public static DnsRecord Service(DnsName name, DnsName host, ushort port, uint ttlSeconds)
    {
        var data = new byte[ServiceHeaderBytes + host.Wire.Length];
        BinaryPrimitives.WriteUInt16BigEndian(data.AsSpan(4), port); // priority and weight before it are 0
        host.Wire.CopyTo(data.AsSpan(ServiceHeaderBytes));
        return new(name, RecordType.Service, ttlSeconds, IsUnique: true, data);
    }

    /// <exception cref="ArgumentException">A string has more than 255 bytes.</exception>
    public static DnsRecord Text(DnsName name, IEnumerable<string> strings, uint ttlSeconds)
    {
        using var data = new MemoryStream();
        foreach (var bytes in strings.Select(Encoding.UTF8.GetBytes))
        {
            if (bytes.Length > byte.MaxValue)
            {
                throw new ArgumentException($"a string of a TXT record has at most {byte.MaxValue} bytes", nameof(strings));
            }

            data.WriteByte((byte)bytes.Length);
            data.Write(bytes);
        }

        return new(name, RecordType.Text, ttlSeconds, IsUnique: true, data.Length > 0 ? data.ToArray() : [0]);
    }

    public static DnsRecord Address(DnsName host, IPAddress address, uint ttlSeconds) =>
        new(host, address.AddressFamily == AddressFamily.InterNetwork ? RecordType.A : RecordType.Aaaa, ttlSeconds, IsUnique: true, address.GetAddressBytes());

    /// <summary>Says that a name has these types, all below 256, and no others (RFC 6762 section 6.1).</summary>
    public static DnsRecord OnlyTypes(DnsName name, IEnumerable<RecordType> types, uint ttlSeconds)
    {
        Span<byte> bitmap = stackalloc byte[32];
        var length = 0;
        foreach (var type in types)
        {
            var (at, bit) = ((int)type / 8, (int)type % 8);
            bitmap[at] |= (byte)(0x80 >> bit);
            length = Math.Max(length, at + 1);
        }

        return new(name, RecordType.Nsec, ttlSeconds, IsUnique: true, [.. name.Wire, 0, (byte)length, .. bitmap[..length]]);
    }

    /// <summary>The name that a record of type <see cref="RecordType.Pointer"/> points to.</summary>
    public DnsName Target => Read(RecordType.Pointer, 0);

    /// <summary>Host of a record of type <see cref="RecordType.Service"/>.</summary>
    public DnsName Host => Read(RecordType.Service, ServiceHeaderBytes);

    /// <summary>Port of a record of type <see cref="RecordType.Service"/>.</summary>
    public ushort Port => Type == RecordType.Service ? BinaryPrimitives.ReadUInt16BigEndian(Data.AsSpan(4)) : throw Misread();

    /// <summary>The address in a record of type <see cref="RecordType.A"/> or <see cref="RecordType.Aaaa"/>.</summary>
    public IPAddress IPAddress => Type is RecordType.A or RecordType.Aaaa ? new IPAddress(Data) : throw Misread();

    /// <summary>
    /// The pairs <c>key=value</c> of a record of type <see cref="RecordType.Text"/>: keys without regard to case, the first of a key counts (RFC 6763 section 6.4).
    /// Strings without a value or a key, or that are no UTF-8, are passed over.
    /// </summary>
    public IReadOnlyDictionary<string, string> Pairs()
    {
        var pairs = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var strings = Type == RecordType.Text ? Data.AsSpan() : throw Misread();
        while (!strings.IsEmpty)
        {
            var bytes = strings.Slice(1, strings[0]);
            strings = strings[(1 + bytes.Length)..];
            if (bytes.IndexOf((byte)'=') is > 0 and var equals && System.Text.Unicode.Utf8.IsValid(bytes))
            {
                pairs.TryAdd(Encoding.UTF8.GetString(bytes[..equals]), Encoding.UTF8.GetString(bytes[(equals + 1)..]));
            }
        }

        return pairs;
    }

    private DnsName Read(RecordType type, int offset) => Type == type ? DnsName.FromWire(Data.AsSpan(offset)) ?? throw Misread() : throw Misread();

    private InvalidOperationException Misread() => new($"a {Type} record was read as something else, or was not checked when it came");
}
