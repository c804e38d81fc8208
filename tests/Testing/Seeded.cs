namespace P2PWeights.Testing;

/// <summary>Randomness that can be replayed: the seed is in <see cref="ToString"/>, to be put into assertion messages; <c>P2PW_TEST_SEED</c> fixes it.</summary>
public sealed class Seeded
{
    public Seeded()
        : this(int.TryParse(Environment.GetEnvironmentVariable("P2PW_TEST_SEED"), out var fixedSeed) ? fixedSeed : Random.Shared.Next())
    {
    }

    public Seeded(int seed) => (Seed, Random) = (seed, new Random(seed));

    public int Seed { get; }

    public Random Random { get; }

    /// <summary>Random bytes.</summary>
    public byte[] Bytes(int length)
    {
        var bytes = new byte[length];
        Random.NextBytes(bytes);
        return bytes;
    }

    public override string ToString() => $"P2PW_TEST_SEED={Seed}";
}
