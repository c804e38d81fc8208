using P2PWeights.Store.Content;

namespace P2PWeights.Store.Hashing;

/// <summary>BLAKE3-256 of whole buffers, on the widest vectors that the CPU has. Specification: https://github.com/BLAKE3-team/BLAKE3-specs.</summary>
public static class Blake3
{
    /// <summary>The digest of <paramref name="data"/>. Allocates nothing.</summary>
    public static Digest Hash(ReadOnlySpan<byte> data) => throw new NotImplementedException();
}

/// <summary>BLAKE3-256 of data that arrives in pieces of any size. Not thread-safe; reusable after <see cref="Reset"/>.</summary>
public sealed class Blake3Hasher
{
    /// <summary>Adds bytes. Pieces of 64 KiB and more run at the speed of <see cref="Blake3.Hash"/>.</summary>
    public void Update(ReadOnlySpan<byte> data) => throw new NotImplementedException();

    /// <summary>The digest of all bytes so far; more may follow.</summary>
    public Digest Finish() => throw new NotImplementedException();

    /// <summary>Forgets all bytes.</summary>
    public void Reset() => throw new NotImplementedException();
}
