using P2PWeights.Store.Content;

namespace P2PWeights.Store.Hashing;

/// <summary>BLAKE3-256 of whole buffers, on the widest vectors that the CPU has. Specification: https://github.com/BLAKE3-team/BLAKE3-specs.</summary>
public static class Blake3
{
    /// <summary>The digest of <paramref name="data"/>. Allocates nothing.</summary>
    public static Digest Hash(ReadOnlySpan<byte> data) => Hash(Blake3Kernel.Best, data);

    /// <summary>The same with a chosen kernel, so that tests reach those that this CPU would not pick.</summary>
    internal static Digest Hash(Blake3Kernel kernel, ReadOnlySpan<byte> data)
    {
        if (data.Length <= Blake3Spec.ChunkBytes)
        {
            var chunk = new Blake3Chunk(counter: 0);
            chunk.Append(data);
            return chunk.FinishRoot();
        }

        Span<uint> children = stackalloc uint[2 * Blake3Spec.CvWords];
        Blake3Tree.HashToChildren(kernel, data, chunkCounter: 0, children);
        return Blake3Tree.RootDigest(children);
    }
}
