namespace P2PWeights.Store.Hashing;

/// <summary>One at a time in plain arithmetic: for every CPU, and for what is left over by the wider kernels.</summary>
internal sealed class ScalarKernel : Blake3Kernel
{
    public override int Lanes => 1;

    public override bool IsSupported => true;

    public override void HashChunks(ReadOnlySpan<byte> chunks, ulong counter, Span<uint> cvs)
    {
        Span<uint> message = stackalloc uint[Blake3Spec.BlockWords];
        for (; !chunks.IsEmpty; chunks = chunks[Blake3Spec.ChunkBytes..], cvs = cvs[Blake3Spec.CvWords..], counter++)
        {
            var cv = cvs[..Blake3Spec.CvWords];
            Blake3Spec.Iv.CopyTo(cv);
            for (var block = 0; block < Blake3Spec.ChunkBlocks; block++)
            {
                Blake3Tree.ReadWords(chunks.Slice(block * Blake3Spec.BlockBytes, Blake3Spec.BlockBytes), message);
                Blake3Compression.Compress(cv, message, counter, Blake3Spec.BlockBytes, ChunkFlags(block));
            }
        }
    }

    public override void HashParents(ReadOnlySpan<uint> children, Span<uint> parents)
    {
        Span<uint> message = stackalloc uint[Blake3Spec.BlockWords];
        for (; !children.IsEmpty; children = children[Blake3Spec.BlockWords..], parents = parents[Blake3Spec.CvWords..])
        {
            // Copied first, because the parents may overwrite the children.
            children[..Blake3Spec.BlockWords].CopyTo(message);
            var cv = parents[..Blake3Spec.CvWords];
            Blake3Spec.Iv.CopyTo(cv);
            Blake3Compression.Compress(cv, message, counter: 0, Blake3Spec.BlockBytes, Blake3Spec.Parent);
        }
    }

    private static uint ChunkFlags(int block) => block switch
    {
        0 => Blake3Spec.ChunkStart,
        Blake3Spec.ChunkBlocks - 1 => Blake3Spec.ChunkEnd,
        _ => 0,
    };
}
