using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Hashing;

/// <summary>
/// The hash tree over the chunks. Everything works on subtrees: a run of bytes and the number of its first chunk give a chaining value,
/// whoever computes it, so that other threads and other devices can hash parts of one input.
/// </summary>
[SkipLocalsInit]
internal static class Blake3Tree
{
    /// <summary>The most lanes of any kernel, and so the most chaining values that <see cref="HashWide"/> returns.</summary>
    private const int MaxWidth = 16;

    /// <summary>The chaining value of a subtree that is not the whole input.</summary>
    /// <param name="data">At least one byte; the subtree's bytes. Unless it ends the input, its chunks are a power of two and divide <paramref name="chunkCounter"/>.</param>
    /// <param name="chunkCounter">Number of the first chunk in the input.</param>
    public static void HashSubtree(Blake3Kernel kernel, ReadOnlySpan<byte> data, ulong chunkCounter, Span<uint> cv)
    {
        if (data.Length <= Blake3Spec.ChunkBytes)
        {
            HashChunk(data, chunkCounter, cv);
            return;
        }

        Span<uint> children = stackalloc uint[2 * Blake3Spec.CvWords];
        HashToChildren(kernel, data, chunkCounter, children);
        Parent(children, cv, rootFlag: 0);
    }

    /// <summary>
    /// The two chaining values below the top of a subtree of more than one chunk. Stopping there leaves open whether the top is the root.
    /// </summary>
    public static void HashToChildren(Blake3Kernel kernel, ReadOnlySpan<byte> data, ulong chunkCounter, Span<uint> children)
    {
        Span<uint> cvs = stackalloc uint[MaxWidth * Blake3Spec.CvWords];
        var count = HashWide(kernel, data, chunkCounter, cvs);
        while (count > 2)
        {
            count = PairOff(kernel, cvs, count, cvs);
        }

        cvs[..(2 * Blake3Spec.CvWords)].CopyTo(children);
    }

    /// <summary>The digest of the input whose root has these two children.</summary>
    public static Digest RootDigest(ReadOnlySpan<uint> children)
    {
        Span<uint> cv = stackalloc uint[Blake3Spec.CvWords];
        Parent(children, cv, Blake3Spec.Root);
        return ToDigest(cv);
    }

    /// <summary>The chaining value above two others; with <see cref="Blake3Spec.Root"/> as the flag, the digest's words.</summary>
    public static void Parent(ReadOnlySpan<uint> children, Span<uint> cv, uint rootFlag)
    {
        Span<uint> message = stackalloc uint[Blake3Spec.BlockWords];
        children[..Blake3Spec.BlockWords].CopyTo(message);
        Blake3Spec.Iv.CopyTo(cv);
        Blake3Compression.Compress(cv, message, counter: 0, Blake3Spec.BlockBytes, Blake3Spec.Parent | rootFlag);
    }

    /// <summary>Little-endian words from bytes.</summary>
    public static void ReadWords(ReadOnlySpan<byte> bytes, Span<uint> words)
    {
        MemoryMarshal.Cast<byte, uint>(bytes).CopyTo(words);
        if (!BitConverter.IsLittleEndian)
        {
            BinaryPrimitives.ReverseEndianness(words, words);
        }
    }

    /// <summary>The digest whose little-endian words these are.</summary>
    public static Digest ToDigest(ReadOnlySpan<uint> cv)
    {
        Span<uint> words = stackalloc uint[Blake3Spec.CvWords];
        ReadWords(MemoryMarshal.AsBytes(cv), words);
        return new Digest(MemoryMarshal.AsBytes(words));
    }

    /// <summary>
    /// Hashes a subtree up to the last level that is still as wide as the kernel, so that parents too go through it side by side.
    /// </summary>
    /// <returns>How many chaining values of one level it wrote; at least two when there is more than one chunk.</returns>
    private static int HashWide(Blake3Kernel kernel, ReadOnlySpan<byte> data, ulong chunkCounter, Span<uint> cvs)
    {
        // A scalar kernel stops at two, the least that keeps the root apart.
        var width = Math.Max(kernel.Lanes, 2);
        var chunks = Blake3Spec.ChunksIn(data.Length);
        if (chunks <= width)
        {
            HashChunks(kernel, data, chunkCounter, cvs);
            return chunks;
        }

        // The left part is a power of two and so comes back exactly as wide as the kernel; the right part may be narrower.
        Span<uint> both = stackalloc uint[2 * MaxWidth * Blake3Spec.CvWords];
        var leftChunks = LeftChunks(chunks);
        var leftBytes = leftChunks * Blake3Spec.ChunkBytes;
        var left = HashWide(kernel, data[..leftBytes], chunkCounter, both);
        var right = HashWide(kernel, data[leftBytes..], chunkCounter + (ulong)leftChunks, both[(left * Blake3Spec.CvWords)..]);
        return PairOff(kernel, both, left + right, cvs);
    }

    /// <summary>Chunks of the left child: the largest power of two that leaves the right child at least one.</summary>
    public static int LeftChunks(int chunks) => (int)(BitOperations.RoundUpToPowerOf2((uint)chunks) / 2);

    /// <summary>Writes the parent of each pair of neighbours; an odd one at the end moves up unchanged. Works in place.</summary>
    private static int PairOff(Blake3Kernel kernel, ReadOnlySpan<uint> cvs, int count, Span<uint> parents)
    {
        var pairs = count / 2;
        kernel.HashParents(cvs[..(pairs * Blake3Spec.BlockWords)], parents);
        if (count % 2 != 0)
        {
            cvs.Slice(pairs * Blake3Spec.BlockWords, Blake3Spec.CvWords).CopyTo(parents[(pairs * Blake3Spec.CvWords)..]);
        }

        return pairs + count % 2;
    }

    private static void HashChunks(Blake3Kernel kernel, ReadOnlySpan<byte> data, ulong counter, Span<uint> cvs)
    {
        var whole = data.Length / Blake3Spec.ChunkBytes;
        var wholeBytes = whole * Blake3Spec.ChunkBytes;
        kernel.HashChunks(data[..wholeBytes], counter, cvs);
        if (wholeBytes < data.Length)
        {
            HashChunk(data[wholeBytes..], counter + (ulong)whole, cvs[(whole * Blake3Spec.CvWords)..]);
        }
    }

    private static void HashChunk(ReadOnlySpan<byte> data, ulong counter, Span<uint> cv)
    {
        var chunk = new Blake3Chunk(counter);
        chunk.Append(data);
        chunk.Finish(cv);
    }
}
