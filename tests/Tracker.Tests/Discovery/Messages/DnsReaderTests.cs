using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Tests.Discovery.Messages;

public sealed class DnsReaderTests
{
    private const string Header = "0000 8400 0000 0001 0000 0000";
    private const string OneQuestion = "0000 0000 0001 0000 0000 0000";

    /// <summary>An answer to a question for services as other responders send it: names compressed, also in the data.</summary>
    private static readonly byte[] Answer = Packets.Of("""
        0000 8400 0000 0001 0000 0003
        0b'_p2pweights' 04'_tcp' 05'local' 00 000c 0001 00001194 0007 04'rack' c00c
        c02e 0021 8001 00000078 0011 0000 0000 1ce8 08'tracker1' c01d
        c02e 0010 8001 00001194 0010 09'txtvers=1' 05'a=b=c'
        c047 0001 8001 00000078 0004 0a000001
        """);

    [Fact]
    public void Read_compressed_answer_gives_its_records()
    {
        var message = DnsReader.Read(Answer)!;

        Assert.True(message is { IsResponse: true, Id: 0, IsTruncated: false });
        Assert.Equal("_p2pweights._tcp.local.", message.Answers[0].Name.ToString());
        Assert.Equal("rack._p2pweights._tcp.local.", message.Answers[0].Target.ToString());
        Assert.False(message.Answers[0].IsUnique);
        Assert.Equal(4500u, message.Answers[0].TtlSeconds);
        var (service, text, address) = (message.Additionals[0], message.Additionals[1], message.Additionals[2]);
        Assert.Equal(("tracker1.local.", (ushort)7400), (service.Host.ToString(), service.Port));
        Assert.True(service.IsUnique);
        Assert.Equal(message.Answers[0].Target, service.Name);
        Assert.Equal("b=c", text.Pairs()["A"]);
        Assert.Equal(("10.0.0.1", service.Host), (address.IPAddress.ToString(), address.Name));
    }

    [Fact]
    public void Read_question_knows_who_takes_unicast()
    {
        var message = DnsReader.Read(Packets.Of($"0000 0200 0002 0000 0000 0000 01'a' 00 00ff 8001 c00c 001c 0001"))!;

        Assert.True(message is { IsResponse: false, IsTruncated: true });
        Assert.Equal([(RecordType.Any, true), (RecordType.Aaaa, false)], message.Questions.Select(question => (question.Type, question.WantsUnicast)));
        Assert.Equal(message.Questions[0].Name, message.Questions[1].Name);
    }

    [Theory]
    [InlineData("", "nothing at all")]
    [InlineData("0000 8400 0000 0000 0000", "half a header")]
    [InlineData("0000 8400 0000 0001 0000 0000", "a record that is not there")]
    [InlineData("0000 8400 0000 ffff ffff ffff 01'a' 00 0001 0001 00000001 0004 01020304", "counts beyond the packet")]
    [InlineData("0000 8400 ffff 0000 0000 0000 01'a' 00 0001 0001", "more questions than fit")]
    [InlineData("0000 2800 0000 0000 0000 0000", "an operation other than a query")]
    [InlineData("0000 8403 0000 0000 0000 0000", "an error")]
    [InlineData(OneQuestion + "c00c 0001 0001", "a name that points to itself")]
    [InlineData(OneQuestion + "01'a' c00c 0001 0001", "a name that comes back to its start")]
    [InlineData(OneQuestion + "c010 0000 01'a' 00 0001 0001", "a pointer forwards")]
    [InlineData(OneQuestion + "c000 0001 0001", "a pointer into the header")]
    [InlineData(OneQuestion + "c0", "half a pointer")]
    [InlineData(OneQuestion + "3f'abc'", "a label beyond the end")]
    [InlineData(OneQuestion + "01'a' 00 0001", "half a question")]
    [InlineData(OneQuestion + "40'a' 00 0001 0001", "a label of a kind that there is not")]
    [InlineData(OneQuestion + "02 c328 00 0001 0001", "a label that is no UTF-8")]
    [InlineData(Header + "01'a' 00 0001 0001 00000001 0005 01020304", "data beyond the end")]
    [InlineData(Header + "01'a' 00 0001 0001 00000001 0003 010203", "an IPv4 address of three bytes")]
    [InlineData(Header + "01'a' 00 001c 0001 00000001 0004 01020304", "an IPv6 address of four bytes")]
    [InlineData(Header + "01'a' 00 0010 0001 00000001 0003 05'ab'", "a string longer than its record")]
    [InlineData(Header + "01'a' 00 000c 0001 00000001 0001 01 00", "a name that leaves its record")]
    [InlineData(Header + "01'a' 00 000c 0001 00000001 0003 00 0000", "bytes behind a name")]
    [InlineData(Header + "01'a' 00 000c 0001 00000001 0000", "no name")]
    [InlineData(Header + "01'a' 00 000c 0001 00000001 0002 c019", "data that points to itself")]
    [InlineData(Header + "01'a' 00 0021 0001 00000001 0006 000000000001", "a service without a host")]
    public void Read_what_is_no_message_gives_nothing(string packet, string what) => Assert.True(DnsReader.Read(Packets.Of(packet)) is null, what);

    [Fact]
    public void Read_cut_at_any_byte_gives_nothing() =>
        Assert.All(Enumerable.Range(0, Answer.Length), length => Assert.Null(DnsReader.Read(Answer.AsSpan(0, length))));

    [Fact]
    public void Read_longest_name_is_taken_and_a_longer_one_is_not()
    {
        // Three labels of 63 bytes and one of 61 are 255 bytes with their lengths and the end.
        Assert.NotNull(DnsReader.Read(Packets.Of(OneQuestion + Labels(63, 63, 63, 61) + "00 0001 0001")));
        Assert.Null(DnsReader.Read(Packets.Of(OneQuestion + Labels(63, 63, 63, 62) + "00 0001 0001")));

        // The same, grown by a pointer to what was allowed.
        Assert.Null(DnsReader.Read(Packets.Of("0000 0000 0002 0000 0000 0000" + Labels(63, 63, 63, 61) + "00 0001 0001 01'a' c00c 0001 0001")));

        static string Labels(params int[] lengths) => string.Concat(lengths.Select(length => $"{length:x2}'{new string('x', length)}'"));
    }

    [Fact]
    public void Read_chain_of_pointers_is_followed_so_far_and_no_farther()
    {
        Assert.NotNull(DnsReader.Read(Chain(31)));
        Assert.Null(DnsReader.Read(Chain(32)));

        // In the data of a record of a type that nobody reads: a root, then pointers, each to the one before.
        static byte[] Chain(int pointers)
        {
            var data = "00" + string.Concat(Enumerable.Range(0, pointers).Select(i => $"{0xC000 + 23 + (i == 0 ? 0 : 1 + (2 * (i - 1))):x4}"));
            return Packets.Of($"0000 8400 0000 0002 0000 0000 00 0063 0001 00000001 {1 + (2 * pointers):x4} {data} {0xC000 + 23 + 1 + (2 * (pointers - 1)):x4} 0063 0001 00000001 0000");
        }
    }

    [Fact]
    public void Read_other_classes_are_passed_over()
    {
        var message = DnsReader.Read(Packets.Of("0000 8400 0000 0002 0000 0000 01'a' 00 0001 0003 00000001 0004 01020304 01'b' 00 0001 0001 ffffffff 0004 01020304"))!;
        Assert.Equal("b.", Assert.Single(message.Answers).Name.ToString());
        Assert.Equal(0u, message.Answers[0].TtlSeconds);
    }
}
