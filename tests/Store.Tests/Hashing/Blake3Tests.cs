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

    [Fact]
    public void Hasher_of_random_pieces_equals_one_shot()
    {
        var seeded = new Seeded();
        for (var run = 0; run < 60; run++)
        {
            var data = seeded.Bytes(seeded.Random.Next(200 << 10));
            var hasher = new Blake3Hasher();
            for (var offset = 0; offset < data.Length;)
            {
                var piece = Math.Min(seeded.Random.Next(1 << seeded.Random.Next(18)), data.Length - offset);
                hasher.Update(data.AsSpan(offset, piece));
                offset += piece;
                if (seeded.Random.Next(8) == 0)
                {
                    Assert.True(Blake3.Hash(data.AsSpan(0, offset)) == hasher.Finish(), $"prefix of {offset} bytes, {seeded}");
                }
            }

            Assert.True(Blake3.Hash(data) == hasher.Finish(), $"{data.Length} bytes, {seeded}");
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
