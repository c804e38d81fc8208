using P2PWeights.Testing;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Tests.Discovery.Messages;

/// <summary>Packets that somebody damaged, by chance and on purpose.</summary>
public sealed class DnsReaderFuzzTests
{
    private const int Rounds = 40_000;

    [Fact]
    public void Read_damaged_packets_never_fails_and_takes_bounded_memory()
    {
        var seed = new Seeded();
        byte[][] whole =
        [
            .. new[] { Packets.Announcement(addresses: 8), Packets.Probe(), Packets.Query(), Packets.Query(200) }.SelectMany(message => DnsWriter.Write(message, 8000)),
            DnsWriter.Write(Packets.Announcement())[0],
        ];
        var understood = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var packet = Damage(whole[seed.Random.Next(whole.Length)], seed.Random);
            var before = GC.GetAllocatedBytesForCurrentThread();
            DnsMessage? message;
            try
            {
                message = DnsReader.Read(packet);
            }
            catch (Exception e)
            {
                Assert.Fail($"round {round}, {seed}, packet {Convert.ToHexString(packet)}: {e}");
                throw;
            }

            var taken = GC.GetAllocatedBytesForCurrentThread() - before;
            Assert.True(taken < 2 << 20, $"{taken} bytes taken for a packet of {packet.Length}; round {round}, {seed}");
            if (message is not null)
            {
                understood++;
                Use(message, round, seed);
            }
        }

        // Else the damage is so great that nothing behind the header is ever looked at.
        Assert.InRange(understood, Rounds / 50, Rounds - (Rounds / 50));
    }

    [Fact]
    public void Read_random_bytes_never_fails()
    {
        var seed = new Seeded();
        for (var round = 0; round < Rounds; round++)
        {
            var packet = seed.Bytes(seed.Random.Next(200));
            if (packet.Length > 3)
            {
                packet[2] &= 0x87; // past the first look
                packet[3] &= 0xF0;
            }

            if (DnsReader.Read(packet) is { } message)
            {
                Use(message, round, seed);
            }
        }
    }

    /// <summary>Whatever was read can be used and written again, and is then read as the same.</summary>
    private static void Use(DnsMessage message, int round, Seeded seed)
    {
        foreach (var record in message.Answers.Concat(message.Authorities).Concat(message.Additionals))
        {
            _ = record.Type switch
            {
                RecordType.Pointer => record.Target.ToString(),
                RecordType.Service => $"{record.Host}:{record.Port}",
                RecordType.A or RecordType.Aaaa => record.IPAddress.ToString(),
                RecordType.Text => string.Join(',', record.Pairs()),
                _ => record.Name.ToString(),
            };
        }

        var read = DnsWriter.Write(message, maxBytes: 65_000).Select(packet => DnsReader.Read(packet)).ToList();
        Assert.True(read.Count == 1 && Packets.Describe(message) == Packets.Describe(read[0]!), $"written and read again it is another message; round {round}, {seed}");
    }

    private static byte[] Damage(byte[] whole, Random random)
    {
        var packet = whole.ToList();
        for (var times = random.Next(1, 4); times > 0; times--)
        {
            var at = random.Next(packet.Count);
            switch (random.Next(7))
            {
                case 0:
                    packet[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 1:
                    packet[at] = (byte)random.Next(256);
                    break;
                case 2 when packet.Count > at + 1: // a pointer to anywhere
                    (packet[at], packet[at + 1]) = ((byte)(0xC0 | random.Next(4)), (byte)random.Next(256));
                    break;
                case 3: // lengths and counts at their ends
                    packet[at] = (byte)(random.Next(2) * 255);
                    break;
                case 4 when packet.Count > 20:
                    packet.RemoveRange(at, Math.Min(random.Next(1, 20), packet.Count - at - 1));
                    break;
                case 5:
                    packet.InsertRange(at, whole[..Math.Min(whole.Length, random.Next(1, 40))]);
                    break;
                default:
                    packet.RemoveRange(at + 1, packet.Count - at - 1);
                    break;
            }
        }

        return [.. packet];
    }
}
