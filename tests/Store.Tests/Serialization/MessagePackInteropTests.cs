using System.Buffers;
using P2PWeights.Store.Serialization;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Serialization;

/// <summary>Both ways against Python's msgpack, which writes the shortest forms too.</summary>
public sealed class MessagePackInteropTests
{
    private static readonly MessagePackLimits Limits = new() { MaxDepth = 16 };

    [Fact]
    public async Task Values_that_we_write_are_the_same_to_Python_in_content_and_bytes()
    {
        var seeded = new Seeded();
        var ours = new List<byte[]>();
        foreach (var integer in MessagePackValue.BoundaryIntegers)
        {
            ours.Add(Written((ref MessagePackWriter w) => MessagePackValue.WriteInteger(ref w, integer)));
        }

        for (var i = 0; i < 500; i++)
        {
            ours.Add(Written((ref MessagePackWriter w) => MessagePackValue.WriteRandom(ref w, seeded.Random, depth: 3)));
        }

        var answers = await PythonMessagePack.RunAsync(
            """
            for line in sys.stdin:
                value = msgpack.unpackb(bytes.fromhex(line.strip()), raw=False, strict_map_key=False)
                print(msgpack.packb(value, use_bin_type=True).hex(), describe(value))
            """,
            ours.Select(Convert.ToHexStringLower));

        Assert.Equal(ours.Count, answers.Count);
        for (var i = 0; i < ours.Count; i++)
        {
            var reader = new MessagePackReader(ours[i], Limits);
            var expected = $"{Convert.ToHexStringLower(ours[i])} {MessagePackValue.Describe(ref reader)}";
            Assert.True(expected == answers[i], $"value {i}, {seeded}\nours   {Shortened(expected)}\nPython {Shortened(answers[i])}");
        }
    }

    [Fact]
    public async Task Values_that_Python_writes_are_the_same_to_us_in_content_and_bytes()
    {
        var seeded = new Seeded();
        var lines = await PythonMessagePack.RunAsync(
            """
            rng = random.Random(int(sys.argv[1]))
            borders = sorted({s * 2 ** b + d for b in (0, 5, 7, 8, 15, 16, 31, 32, 63, 64) for s in (1, -1) for d in (-1, 0, 1)})
            borders = [b for b in borders if -2 ** 63 <= b < 2 ** 64]
            def length():
                return rng.choice([0, 1, 15, 16, 31, 32, 255, 256, 65535, 65536]) if rng.randrange(50) == 0 else rng.randrange(40)
            def text():
                return "".join(rng.choice("aé字\U0001F600\0\"\\ ") for _ in range(length()))
            def value(depth):
                kind = rng.randrange(9 if depth else 7)
                if kind == 0: return None
                if kind == 1: return rng.random() < 0.5
                if kind == 2: return rng.choice(borders)
                if kind == 3: return rng.randrange(-2 ** 63, 2 ** 64) >> rng.randrange(64)
                if kind == 4: return rng.choice([0.0, -0.0, 1.5, float("inf"), rng.gauss(0, 1e10), 5e-324])
                if kind == 5: return text()
                if kind == 6: return rng.randbytes(length())
                if kind == 7: return [value(depth - 1) for _ in range(rng.randrange(20))]
                return {str(i) + text(): value(depth - 1) for i in range(rng.randrange(20))}
            for v in borders + [list(range(n)) for n in (15, 16, 65535, 65536)] + [{i: i for i in range(n)} for n in (15, 16, 65535, 65536)] + [value(3) for _ in range(500)]:
                print(msgpack.packb(v, use_bin_type=True).hex(), describe(v))
            """,
            [],
            seeded.Seed.ToString(System.Globalization.CultureInfo.InvariantCulture));

        Assert.True(lines.Count > 500);
        foreach (var line in lines)
        {
            var (hex, description) = (line[..line.IndexOf(' ', StringComparison.Ordinal)], line[(line.IndexOf(' ', StringComparison.Ordinal) + 1)..]);
            var bytes = Convert.FromHexString(hex);
            var reader = new MessagePackReader(bytes, Limits);
            var ours = MessagePackValue.Describe(ref reader);
            Assert.True(ours == description && reader.End, $"{seeded}\nours   {Shortened(ours)}\nPython {Shortened(description)}");

            var copied = Written((ref MessagePackWriter w) =>
            {
                var source = new MessagePackReader(bytes, Limits);
                MessagePackValue.Copy(ref source, ref w);
            });
            Assert.True(copied.AsSpan().SequenceEqual(bytes), $"{seeded}\nours   {Shortened(Convert.ToHexStringLower(copied))}\nPython {Shortened(hex)}");

            var skipper = new MessagePackReader(bytes, Limits);
            skipper.Skip();
            Assert.True(skipper.End, seeded.ToString());
        }
    }

    [Fact]
    public async Task Single_floats_and_extensions_of_Python_are_read_and_passed_over()
    {
        var lines = await PythonMessagePack.RunAsync(
            """
            print(msgpack.Packer(use_single_float=True).pack([1.5, -0.25, 1e30]).hex())
            for n in (0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 255, 256, 65535, 65536):
                print(msgpack.packb([msgpack.ExtType(n % 128, b"x" * n), 7]).hex())
            print(msgpack.packb([msgpack.Timestamp(1700000000, 5), 7]).hex())
            """,
            []);

        var floats = new MessagePackReader(Convert.FromHexString(lines[0]));
        Assert.Equal(3, floats.ReadArrayHeader());
        Assert.Equal([1.5, -0.25, (double)1e30f], [floats.ReadDouble(), floats.ReadDouble(), floats.ReadDouble()]);
        foreach (var line in lines.Skip(1))
        {
            var reader = new MessagePackReader(Convert.FromHexString(line));
            Assert.Equal(2, reader.ReadArrayHeader());
            Assert.Equal(MessagePackType.Extension, reader.NextMessagePackType);
            reader.Skip();
            Assert.Equal(7, reader.ReadInt32());
            Assert.True(reader.End);
        }
    }

    private delegate void WriteAction(ref MessagePackWriter writer);

    private static byte[] Written(WriteAction write)
    {
        var output = new ArrayBufferWriter<byte>();
        var writer = new MessagePackWriter(output);
        write(ref writer);
        writer.Flush();
        return output.WrittenSpan.ToArray();
    }

    private static string Shortened(string text) => text.Length <= 400 ? text : text[..400] + "...";
}
