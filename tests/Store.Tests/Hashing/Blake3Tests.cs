using P2PWeights.Store.Hashing;
using P2PWeights.Testing;

namespace P2PWeights.Store.Tests.Hashing;

public sealed class Blake3Tests
{
    [Theory]
    [MemberData(nameof(OfficialVectors.All), MemberType = typeof(OfficialVectors))]
    public void Hash_of_official_input_is_official_digest(int length, string digest) =>
        Assert.Equal(digest, Blake3.Hash(OfficialVectors.Input(length)).ToString());

    [Theory]
    [MemberData(nameof(OfficialVectors.All), MemberType = typeof(OfficialVectors))]
    public void Hasher_of_official_input_is_official_digest(int length, string digest)
    {
        var hasher = new Blake3Hasher();
        hasher.Update(OfficialVectors.Input(length));
        Assert.Equal(digest, hasher.Finish().ToString());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(1024)]
    [InlineData(65_537)]
    [InlineData(3_000_000)]
    [InlineData(16 << 20)]
    [InlineData((40 << 20) + 12_345)]
    public void Hash_of_file_is_what_b3sum_prints(int length)
    {
        using var folder = new TempFolder();
        var seeded = new Seeded();
        var data = seeded.Bytes(length);
        File.WriteAllBytes(folder["data"], data);
        var expected = B3Sum.Of(folder["data"]);
        Assert.True(expected == Blake3.Hash(data).ToString(), $"{length} bytes, {seeded}");

        var hasher = new Blake3Hasher();
        foreach (var piece in data.Chunk(64 << 10))
        {
            hasher.Update(piece);
        }

        Assert.True(expected == hasher.Finish().ToString(), $"{length} bytes in pieces, {seeded}");
    }

    [Fact]
    public void Hashing_allocates_nothing()
    {
        var data = OfficialVectors.Input(1 << 20);
        var hasher = new Blake3Hasher();
        HashBothWays(data, hasher);
        var before = GC.GetAllocatedBytesForCurrentThread();
        HashBothWays(data, hasher);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        static void HashBothWays(byte[] data, Blake3Hasher hasher)
        {
            hasher.Reset();
            hasher.Update(data);
            Assert.True(hasher.Finish() == Blake3.Hash(data));
        }
    }

    [Fact]
    public void Hasher_after_reset_has_forgotten_everything()
    {
        var hasher = new Blake3Hasher();
        hasher.Update(OfficialVectors.Input(5000));
        hasher.Reset();
        Assert.Equal(Blake3.Hash([]), hasher.Finish());
    }
}
