using System.Text;
using P2PWeights.Tracker.Discovery.Advertising;
using P2PWeights.Tracker.Discovery.Messages;

namespace P2PWeights.Tracker.Tests.Discovery.Advertising;

public sealed class ServiceNamesTests
{
    [Theory]
    [InlineData("rack 1", "rack 1 (2)", "rack 1 (3)")]
    [InlineData("a (x)", "a (x) (2)", "a (x) (3)")]
    [InlineData("a (1)", "a (1) (2)", "a (1) (3)")]
    [InlineData(" (2)", "(2) (2)", "(2) (3)")]
    public void Next_counts(string first, string second, string third)
    {
        var random = new Random(1);
        var names = ServiceNames.First(first, random);
        Assert.Equal(second, names.Next(random).Instance);
        Assert.Equal(third, names.Next(random).Next(random).Instance);
        Assert.NotEqual(names.Host, names.Next(random).Host);
    }

    [Theory]
    [InlineData("", "tracker")]
    [InlineData("\u0007\n ", "tracker")]
    [InlineData("a\nb", "ab")]
    public void First_is_always_a_name(string name, string expected) => Assert.Equal(expected, ServiceNames.First(name, new Random(1)).Instance);

    [Fact]
    public void Names_too_long_are_cut_between_characters()
    {
        var random = new Random(1);
        var names = ServiceNames.First(string.Concat(Enumerable.Repeat("ä😀", 30)), random);
        for (var i = 0; i < 12; i++, names = names.Next(random))
        {
            Assert.InRange(Encoding.UTF8.GetByteCount(names.Instance), 50, DnsName.MaxLabelBytes);
            Assert.DoesNotContain('\uFFFD', names.InstanceName.First);
        }
    }
}
