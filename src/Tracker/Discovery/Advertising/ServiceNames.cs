using System.Globalization;
using System.Text;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Discovery.Advertising;

/// <summary>The names under which a tracker is found.</summary>
/// <param name="Instance">Name for people, below the service's; one label.</param>
/// <param name="Host">Name of the host that the instance names, below <c>local</c>; one label. Not the machine's own name: that may belong to another responder here.</param>
internal sealed record ServiceNames(string Instance, string Host)
{
    private const string Local = "local";

    /// <summary>The service of all trackers.</summary>
    public static DnsName Service { get; } = DnsName.Of("_p2pweights", "_tcp", Local);

    /// <summary>The list of services on a link (RFC 6763 section 9).</summary>
    public static DnsName Services { get; } = DnsName.Of("_services", "_dns-sd", "_udp", Local);

    public DnsName InstanceName => Service.Under(Instance);

    public DnsName HostName => DnsName.Of(Host, Local);

    /// <summary>The first names of a tracker.</summary>
    /// <param name="name">Name for people; cut where it is too long for a label.</param>
    public static ServiceNames First(string name, Random random)
    {
        Span<byte> unique = stackalloc byte[6];
        random.NextBytes(unique);
        var label = Cut(string.Concat(name.Where(character => !char.IsControl(character))).Trim(), DnsName.MaxLabelBytes);
        return new ServiceNames(label.Length > 0 ? label : "tracker", $"p2pw-{Convert.ToHexStringLower(unique)}");
    }

    /// <summary>The names to try when one of these belongs to somebody else: <c>name (2)</c>, <c>name (3)</c>, and another host.</summary>
    public ServiceNames Next(Random random)
    {
        var (stem, number) = (Instance, 1);
        if (Instance.EndsWith(')') && Instance.LastIndexOf(" (", StringComparison.Ordinal) is > 0 and var open
            && int.TryParse(Instance.AsSpan()[(open + 2)..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var last) && last is > 1 and < int.MaxValue)
        {
            (stem, number) = (Instance[..open], last);
        }

        var suffix = string.Create(CultureInfo.InvariantCulture, $" ({number + 1})");
        return First(Cut(stem, DnsName.MaxLabelBytes - suffix.Length) + suffix, random);
    }

    /// <summary>The start of a text, in at most so many bytes and without half a character.</summary>
    private static string Cut(string text, int bytes)
    {
        while (Encoding.UTF8.GetByteCount(text) > bytes)
        {
            text = text[..^(text.Length > 1 && char.IsLowSurrogate(text[^1]) ? 2 : 1)];
        }

        return text;
    }
}
