using P2PWeights.Native.Verbs;

namespace P2PWeights.Native.Tests.Verbs;

public sealed class GidTests
{
    [Theory]
    [InlineData("::ffff:10.9.0.1", true, false, false)]
    [InlineData("fe80::5054:ff:fe12:3456", false, true, false)]
    [InlineData("febf::1", false, true, false)]
    [InlineData("fec0::1", false, false, false)]
    [InlineData("2001:db8::1", false, false, false)]
    [InlineData("::1", false, false, false)]
    [InlineData("::", false, false, true)]
    public void Kind_follows_from_the_address(string text, bool mapped, bool linkLocal, bool empty)
    {
        var gid = Gid.Parse(text);

        Assert.Equal((mapped, linkLocal, empty), (gid.IsIPv4Mapped, gid.IsLinkLocal, gid.IsEmpty));
        Assert.Equal(text, gid.ToString());
    }

    [Fact]
    public void Bytes_are_in_network_order()
    {
        var bytes = new byte[Gid.Size];
        Gid.Parse("2001:db8::ff").CopyTo(bytes);

        Assert.Equal(Convert.FromHexString("20010db80000000000000000000000ff"), bytes);
        Assert.Equal(Gid.Parse("2001:db8::ff"), new Gid(bytes));
    }

    [Fact]
    public void An_IPv4_address_is_mapped() => Assert.Equal("::ffff:192.0.2.7", Gid.Parse("192.0.2.7").ToString());

    [Fact]
    public void A_wrong_number_of_bytes_is_refused() => Assert.Throws<ArgumentOutOfRangeException>(() => new Gid(new byte[15]));
}
