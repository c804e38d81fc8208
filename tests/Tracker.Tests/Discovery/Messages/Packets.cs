using System.Net;
using P2PWeights.Tracker.Discovery.Advertising;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Tests.Discovery.Messages;

/// <summary>Messages to read, write and damage.</summary>
internal static class Packets
{
    /// <summary>Bytes from hex digits and spaces, and text in quotes.</summary>
    public static byte[] Of(string text)
    {
        List<byte> bytes = [];
        foreach (var (part, isText) in text.Split('\'').Select((part, i) => (part, i % 2 == 1)))
        {
            bytes.AddRange(isText ? System.Text.Encoding.UTF8.GetBytes(part) : Convert.FromHexString(part.Replace(" ", "", StringComparison.Ordinal).ReplaceLineEndings("")));
        }

        return [.. bytes];
    }

    /// <summary>Everything that a tracker announces.</summary>
    public static DnsMessage Announcement(string instance = "n1", int addresses = 2)
    {
        var advertisement = new Advertisement("default", "a key", new IPEndPoint(IPAddress.IPv6Any, 7400));
        var names = new ServiceNames(instance, "p2pw-0123456789ab");
        IPAddress[] all = [IPAddress.Parse("10.0.0.1"), IPAddress.Parse("fd00::1"), .. Enumerable.Range(2, 6).Select(i => IPAddress.Parse($"10.0.0.{i}"))];
        return new DnsMessage { IsResponse = true, Answers = [.. advertisement.Records(names, all[..addresses]).All] };
    }

    /// <summary>A probe: questions and authorities.</summary>
    public static DnsMessage Probe() => new()
    {
        Questions = [new(Announcement().Answers[2].Name, RecordType.Any, WantsUnicast: true)],
        Authorities = [.. Announcement().Answers.Skip(2)],
    };

    /// <summary>A query with known answers.</summary>
    public static DnsMessage Query(int known = 3) => new()
    {
        Questions = [new(ServiceNames.Service, RecordType.Pointer)],
        Answers = [.. Enumerable.Range(0, known).Select(i => DnsRecord.Pointer(ServiceNames.Service, ServiceNames.Service.Under($"tracker {i}"), 4500))],
    };

    /// <summary>One text per message: two messages with the same content have the same.</summary>
    public static string Describe(DnsMessage message) =>
        $"{message.Id} {message.IsResponse} {message.IsTruncated}\n{string.Join('\n', message.Questions)}\n"
        + string.Join("\n--\n", new[] { message.Answers, message.Authorities, message.Additionals }.Select(section => string.Join('\n', section.Select(Describe))));

    public static string Describe(DnsRecord record) => $"{record.Name} {record.Type} {record.TtlSeconds} {record.IsUnique} {Convert.ToHexString(record.Data)}";
}
