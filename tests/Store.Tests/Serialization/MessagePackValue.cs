using System.Buffers;
using System.Globalization;
using System.Text;
using P2PWeights.Store.Serialization;

namespace P2PWeights.Store.Tests.Serialization;

/// <summary>Any MessagePack value, read, written, described and made up at random through the public reader and writer.</summary>
internal static class MessagePackValue
{
    /// <summary>Integers at and around every border between two forms.</summary>
    public static readonly Int128[] BoundaryIntegers =
        [.. new[] { 0, 5, 7, 8, 15, 16, 31, 32, 63, 64 }
            .SelectMany(bits => new[] { Int128.One << bits, -(Int128.One << bits) })
            .SelectMany(value => new[] { value - 1, value, value + 1 })
            .Where(value => value >= long.MinValue && value <= ulong.MaxValue)
            .Distinct()];

    private static readonly int[] BoundaryLengths = [0, 1, 15, 16, 31, 32, 33, 255, 256, 257, 65535, 65536, 70000];

    /// <summary>The next value as text, see <see cref="PythonMessagePack"/>.</summary>
    public static string Describe(ref MessagePackReader reader)
    {
        switch (reader.NextMessagePackType)
        {
            case MessagePackType.Nil:
                reader.ReadNil();
                return "nil";
            case MessagePackType.Boolean:
                return reader.ReadBoolean() ? "true" : "false";
            case MessagePackType.Integer:
                return "i" + ReadInteger(ref reader).ToString(CultureInfo.InvariantCulture);
            case MessagePackType.Float:
                return "f" + BitConverter.DoubleToInt64Bits(reader.ReadDouble()).ToString("x16", CultureInfo.InvariantCulture);
            case MessagePackType.String:
                return "s" + Convert.ToHexStringLower(Encoding.UTF8.GetBytes(reader.ReadString()!));
            case MessagePackType.Binary:
                return "b" + Convert.ToHexStringLower(reader.ReadBytes()!.Value.ToArray());
            case MessagePackType.Array:
                {
                    var elements = new string[reader.ReadArrayHeader()];
                    reader.Depth++;
                    for (var i = 0; i < elements.Length; i++)
                    {
                        elements[i] = Describe(ref reader);
                    }

                    reader.Depth--;
                    return $"[{string.Join(',', elements)}]";
                }

            case MessagePackType.Map:
                {
                    var pairs = new string[reader.ReadMapHeader()];
                    reader.Depth++;
                    for (var i = 0; i < pairs.Length; i++)
                    {
                        pairs[i] = Describe(ref reader) + ":";
                        pairs[i] += Describe(ref reader);
                    }

                    reader.Depth--;
                    return "{" + string.Join(',', pairs) + "}";
                }

            default:
                throw new InvalidOperationException($"no description of {reader.NextMessagePackType}");
        }
    }

    /// <summary>Reads the next value and writes it again.</summary>
    public static void Copy(ref MessagePackReader reader, ref MessagePackWriter writer)
    {
        switch (reader.NextMessagePackType)
        {
            case MessagePackType.Nil:
                reader.ReadNil();
                writer.WriteNil();
                break;
            case MessagePackType.Boolean:
                writer.Write(reader.ReadBoolean());
                break;
            case MessagePackType.Integer:
                WriteInteger(ref writer, ReadInteger(ref reader));
                break;
            case MessagePackType.Float:
                writer.Write(reader.ReadDouble());
                break;
            case MessagePackType.String:
                writer.Write(reader.ReadString());
                break;
            case MessagePackType.Binary:
                writer.Write(reader.ReadBytes()!.Value.FirstSpan);
                break;
            case MessagePackType.Array:
                {
                    var count = reader.ReadArrayHeader();
                    writer.WriteArrayHeader(count);
                    for (var i = 0; i < count; i++)
                    {
                        Copy(ref reader, ref writer);
                    }

                    break;
                }

            case MessagePackType.Map:
                {
                    var count = reader.ReadMapHeader();
                    writer.WriteMapHeader(count);
                    for (var i = 0; i < 2 * count; i++)
                    {
                        Copy(ref reader, ref writer);
                    }

                    break;
                }

            default:
                throw new InvalidOperationException($"no copy of {reader.NextMessagePackType}");
        }
    }

    public static void WriteInteger(ref MessagePackWriter writer, Int128 value)
    {
        if (value > long.MaxValue)
        {
            writer.Write((ulong)value);
        }
        else
        {
            writer.Write((long)value);
        }
    }

    /// <summary>Writes a random value, containers at most <paramref name="depth"/> deep.</summary>
    public static void WriteRandom(ref MessagePackWriter writer, Random random, int depth)
    {
        switch (random.Next(depth > 0 ? 9 : 7))
        {
            case 0:
                writer.WriteNil();
                break;
            case 1:
                writer.Write(random.Next(2) == 0);
                break;
            case 2:
                WriteInteger(ref writer, BoundaryIntegers[random.Next(BoundaryIntegers.Length)]);
                break;
            case 3:
                writer.Write(random.NextInt64(long.MinValue, long.MaxValue) >> random.Next(64));
                break;
            case 4:
                writer.Write(BitConverter.Int64BitsToDouble(random.NextInt64(0x7ff0_0000_0000_0000))); // finite: NaN payloads are Python's business
                break;
            case 5:
                writer.Write(RandomText(random));
                break;
            case 6:
                var bytes = new byte[Length(random)];
                random.NextBytes(bytes);
                writer.Write(bytes);
                break;
            case 7:
                var count = random.Next(20);
                writer.WriteArrayHeader(count);
                for (var i = 0; i < count; i++)
                {
                    WriteRandom(ref writer, random, depth - 1);
                }

                break;
            default:
                var pairs = random.Next(20);
                writer.WriteMapHeader(pairs);
                for (var i = 0; i < pairs; i++)
                {
                    writer.Write($"{i} {RandomText(random)}"); // distinct keys, or Python would merge them
                    WriteRandom(ref writer, random, depth - 1);
                }

                break;
        }
    }

    // Long ones seldom, so that a run stays small.
    private static int Length(Random random) => random.Next(50) == 0 ? BoundaryLengths[random.Next(BoundaryLengths.Length)] : random.Next(40);

    private static string RandomText(Random random)
    {
        string[] letters = ["a", "é", "字", "\U0001F600", "\0", "\"", "\\", " "];
        return string.Concat(Enumerable.Range(0, Length(random)).Select(_ => letters[random.Next(letters.Length)]));
    }

    private static Int128 ReadInteger(ref MessagePackReader reader)
    {
        var start = reader;
        try
        {
            return reader.ReadInt64();
        }
        catch (MessagePackSerializationException)
        {
            reader = start;
            return reader.ReadUInt64();
        }
    }
}
