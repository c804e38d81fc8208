using System.Net;
using P2PWeights.Testing;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Tests.Discovery.Messages;

public sealed class DnsWriterTests
{
    [Fact]
    public void Write_then_read_gives_the_same_message()
    {
        foreach (var message in new[] { Packets.Announcement(addresses: 8), Packets.Probe(), Packets.Query(), new DnsMessage { Id = 7, IsResponse = true, Questions = Packets.Query().Questions, Additionals = Packets.Announcement().Answers } })
        {
            var packet = Assert.Single(DnsWriter.Write(message));
            Assert.Equal(Packets.Describe(message), Packets.Describe(DnsReader.Read(packet)!));
        }
    }

    [Fact]
    public void Write_compresses_names_also_in_the_data()
    {
        var service = DnsName.Of("_a", "_tcp", "local");
        var packet = DnsWriter.Write(new DnsMessage
        {
            IsResponse = true,
            Answers = [DnsRecord.Pointer(service, service.Under("x"), 1), DnsRecord.Service(service.Under("x"), DnsName.Of("h", "local"), 7400, 2)],
        })[0];

        Assert.Equal(
            Packets.Of("""
                0000 8400 0000 0002 0000 0000
                02'_a' 04'_tcp' 05'local' 00 000c 0001 00000001 0004 01'x' c00c
                c025 0021 8001 00000002 000a 0000 0000 1ce8 01'h' c014
                """),
            packet);
    }

    [Fact]
    public void Write_more_known_answers_than_fit_goes_on_and_says_so()
    {
        var message = Packets.Query(known: 300);
        var packets = DnsWriter.Write(message);

        Assert.True(packets.Count > 1);
        var read = packets.Select(packet => DnsReader.Read(packet)!).ToList();
        Assert.All(packets, packet => Assert.True(packet.Length <= DnsWriter.MaxBytes));
        Assert.All(read.SkipLast(1), one => Assert.True(one.IsTruncated));
        Assert.False(read[^1].IsTruncated);
        Assert.Single(read[0].Questions);
        Assert.All(read.Skip(1), one => Assert.Empty(one.Questions));
        Assert.Equal(message.Answers.Select(Packets.Describe), read.SelectMany(one => one.Answers).Select(Packets.Describe));
    }

    [Fact]
    public void Write_more_answers_than_fit_goes_on_without_saying_so()
    {
        var message = Packets.Query(known: 300) with { IsResponse = true, Questions = [] };
        var read = DnsWriter.Write(message).Select(packet => DnsReader.Read(packet)!).ToList();

        Assert.True(read.Count > 1);
        Assert.All(read, one => Assert.True(one is { IsTruncated: false, IsResponse: true }));
        Assert.Equal(300, read.Sum(one => one.Answers.Count));
    }

    [Fact]
    public void Write_leaves_out_additional_records_without_room()
    {
        var message = Packets.Announcement(addresses: 8);
        var packet = Assert.Single(DnsWriter.Write(new DnsMessage { IsResponse = true, Answers = [.. message.Answers.Take(1)], Additionals = [.. message.Answers.Skip(1)] }, maxBytes: 200));
        var read = DnsReader.Read(packet)!;
        Assert.Single(read.Answers);
        Assert.InRange(read.Additionals.Count, 1, message.Answers.Count - 2);
    }

    [Fact]
    public void Write_what_fits_no_packet_is_refused()
    {
        Assert.Throws<ArgumentException>(() => DnsWriter.Write(Packets.Query(known: 0), maxBytes: 20));
        Assert.Throws<ArgumentException>(() => DnsWriter.Write(Packets.Probe(), maxBytes: 80));
        Assert.Throws<ArgumentException>(() => DnsWriter.Write(Packets.Announcement(), maxBytes: 60));
    }

    [Fact]
    public void Write_random_names_then_read_gives_the_same()
    {
        var seed = new Seeded();
        for (var round = 0; round < 200; round++)
        {
            DnsRecord[] records = [.. Enumerable.Range(0, seed.Random.Next(1, 12)).Select(_ => Record())];
            var message = new DnsMessage { IsResponse = true, Answers = records };
            var read = DnsWriter.Write(message).SelectMany(packet => DnsReader.Read(packet)!.Answers);
            Assert.True(records.Select(Packets.Describe).SequenceEqual(read.Select(Packets.Describe)), $"round {round}, {seed}");
        }

        DnsName Name() => DnsName.Of([.. Enumerable.Range(0, seed.Random.Next(1, 5)).Select(_ => new string((char)('a' + seed.Random.Next(3)), seed.Random.Next(1, 20)))]);

        DnsRecord Record() => seed.Random.Next(5) switch
        {
            0 => DnsRecord.Pointer(Name(), Name(), (uint)seed.Random.Next()),
            1 => DnsRecord.Service(Name(), Name(), (ushort)seed.Random.Next(65536), 1),
            2 => DnsRecord.Text(Name(), [new string('x', seed.Random.Next(256))], 1),
            3 => DnsRecord.Address(Name(), new IPAddress(seed.Bytes(seed.Random.Next(2) == 0 ? 4 : 16)), 1),
            _ => DnsRecord.OnlyTypes(Name(), [RecordType.A, RecordType.Service], 1),
        };
    }
}
