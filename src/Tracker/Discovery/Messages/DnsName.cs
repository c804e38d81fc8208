using System.Text;
using System.Text.Unicode;

namespace P2PWeights.Tracker.Discovery.Messages;

/// <summary>
/// A domain name: labels of 1 to 63 bytes of UTF-8, 255 bytes in all. Two names are equal without regard to the case of ASCII letters (RFC 6762 section 16).
/// </summary>
internal sealed class DnsName : IEquatable<DnsName>
{
    /// <summary>Longest name, with the lengths of its labels and the end.</summary>
    public const int MaxBytes = 255;

    /// <summary>Longest label.</summary>
    public const int MaxLabelBytes = 63;

    private readonly byte[] _wire;
    private readonly int _hash;

    private DnsName(byte[] wire)
    {
        _wire = wire;
        var hash = default(HashCode);
        foreach (var one in wire)
        {
            hash.Add(Lower(one));
        }

        _hash = hash.ToHashCode();
    }

    /// <summary>The name uncompressed: each label behind its length, then a zero.</summary>
    public ReadOnlySpan<byte> Wire => _wire;

    /// <summary>The first label as text.</summary>
    public string First => Encoding.UTF8.GetString(_wire, 1, _wire[0]);

    /// <summary>The name without its first label; the root is its own.</summary>
    public DnsName Parent => _wire[0] == 0 ? this : new DnsName(_wire[(_wire[0] + 1)..]);

    /// <summary>A name of labels.</summary>
    /// <exception cref="ArgumentException">A label or the name is too short or too long.</exception>
    public static DnsName Of(params ReadOnlySpan<string> labels)
    {
        using var wire = new MemoryStream();
        foreach (var label in labels)
        {
            var bytes = Encoding.UTF8.GetBytes(label);
            if (bytes.Length is 0 or > MaxLabelBytes)
            {
                throw new ArgumentException($"a label has 1 to {MaxLabelBytes} bytes: '{label}'", nameof(labels));
            }

            wire.WriteByte((byte)bytes.Length);
            wire.Write(bytes);
        }

        wire.WriteByte(0);
        return wire.Length <= MaxBytes ? new DnsName(wire.ToArray()) : throw new ArgumentException($"a name has at most {MaxBytes} bytes", nameof(labels));
    }

    /// <summary>The name that stands uncompressed at the start of some bytes, which have the right lengths.</summary>
    /// <returns>Null when a label is no UTF-8.</returns>
    public static DnsName? FromWire(ReadOnlySpan<byte> wire)
    {
        var end = 0;
        while (wire[end] != 0)
        {
            if (!Utf8.IsValid(wire.Slice(end + 1, wire[end])))
            {
                return null;
            }

            end += wire[end] + 1;
        }

        return new DnsName(wire[..(end + 1)].ToArray());
    }

    /// <summary>A label put before a name.</summary>
    /// <exception cref="ArgumentException">The label or the name is too short or too long.</exception>
    public DnsName Under(string label)
    {
        var first = Of(label);
        return first._wire.Length - 1 + _wire.Length <= MaxBytes
            ? new DnsName([.. first._wire.AsSpan()[..^1], .. _wire])
            : throw new ArgumentException($"a name has at most {MaxBytes} bytes: '{label}' under {this}", nameof(label));
    }

    public bool Equals(DnsName? other)
    {
        if (other is null || other._hash != _hash || other._wire.Length != _wire.Length)
        {
            return false;
        }

        for (var i = 0; i < _wire.Length; i++)
        {
            if (Lower(_wire[i]) != Lower(other._wire[i]))
            {
                return false;
            }
        }

        return true;
    }

    public override bool Equals(object? obj) => Equals(obj as DnsName);

    public override int GetHashCode() => _hash;

    /// <summary>Labels with dots between; dots, backslashes and what a terminal would obey are escaped as in RFC 1035 section 5.1.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        for (var name = this; name._wire[0] != 0; name = name.Parent)
        {
            text.Append(text.Length > 0 ? "." : "");
            foreach (var character in name.First)
            {
                text.Append(character switch
                {
                    '.' or '\\' => $"\\{character}",
                    _ when char.IsControl(character) => $"\\{(int)character:D3}",
                    _ => $"{character}",
                });
            }
        }

        return text.Append('.').ToString();
    }

    // Lengths are below 64 and so no letters.
    private static byte Lower(byte one) => one is >= (byte)'A' and <= (byte)'Z' ? (byte)(one | 0x20) : one;
}
