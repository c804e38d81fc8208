using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Tests.Discovery.Messages;

public sealed class DnsNameTests
{
    [Fact]
    public void Names_differ_in_more_than_case_of_ASCII_letters()
    {
        Assert.Equal(DnsName.Of("Tracker", "LOCAL"), DnsName.Of("tracker", "local"));
        Assert.Equal(DnsName.Of("Tracker").GetHashCode(), DnsName.Of("tRACKER").GetHashCode());
        Assert.NotEqual(DnsName.Of("Ä"), DnsName.Of("ä"));
        Assert.NotEqual(DnsName.Of("a", "b"), DnsName.Of("a.b"));
        Assert.NotEqual(DnsName.Of("a@"), DnsName.Of("a`"));
    }

    [Fact]
    public void Text_of_a_name_shows_its_labels_and_obeys_nobody() => Assert.Equal(@"a\.b\\.\027[2J ä.local.", DnsName.Of("a.b\\", "\u001b[2J ä", "local").ToString());

    [Fact]
    public void Under_puts_a_label_before_and_parent_takes_it_off()
    {
        var name = DnsName.Of("b", "c").Under("a");
        Assert.Equal(DnsName.Of("a", "b", "c"), name);
        Assert.Equal(DnsName.Of("b", "c"), name.Parent);
        Assert.Equal("a", name.First);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123")]
    [InlineData("ääääääääääääääääääääääääääääääää")]
    public void Labels_too_short_or_too_long_are_refused(string label)
    {
        Assert.Throws<ArgumentException>(() => DnsName.Of(label));
        Assert.Throws<ArgumentException>(() => DnsName.Of("local").Under(label));
    }

    [Fact]
    public void Names_too_long_are_refused()
    {
        var label = new string('x', 63);
        Assert.Throws<ArgumentException>(() => DnsName.Of(label, label, label, label));
        Assert.Throws<ArgumentException>(() => DnsName.Of(label, label, label).Under(label));
    }
}
