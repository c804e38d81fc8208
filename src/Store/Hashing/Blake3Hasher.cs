using System.Numerics;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Hashing;

/// <summary>BLAKE3-256 of data that arrives in pieces of any size. Not thread-safe; reusable after <see cref="Reset"/>.</summary>
/// <remarks>
/// The bytes so far are a row of whole subtrees, largest first, whose chaining values lie on a stack, and one unfinished chunk. Their sizes
/// are the binary digits of the number of chunks, so a subtree that arrives merges as a carry does. Merging waits for the next piece: until
/// something follows, the last two may be the children of the root.
/// </remarks>
public sealed class Blake3Hasher
{
    /// <summary>2^64 bytes hold 2^54 chunks: 54 subtrees of different sizes, and one that has not merged yet.</summary>
    private const int MaxStackedCvs = 55;

    private readonly Blake3Kernel _kernel;
    private readonly uint[] _stack = new uint[MaxStackedCvs * Blake3Spec.CvWords];
    private int _stacked;
    private ulong _chunksStacked;
    private Blake3Chunk _chunk = new(counter: 0);

    public Blake3Hasher()
        : this(Blake3Kernel.Best)
    {
    }

    /// <summary>A hasher with a chosen kernel, so that tests reach those that this CPU would not pick.</summary>
    internal Blake3Hasher(Blake3Kernel kernel) => _kernel = kernel;

    /// <summary>Adds bytes. Pieces of 64 KiB and more run at the speed of <see cref="Blake3.Hash(ReadOnlySpan{byte})"/>.</summary>
    public void Update(ReadOnlySpan<byte> data)
    {
        if (_chunk.Length > 0)
        {
            var taken = Math.Min(Blake3Spec.ChunkBytes - _chunk.Length, data.Length);
            _chunk.Append(data[..taken]);
            data = data[taken..];
            if (data.IsEmpty)
            {
                return;
            }

            PushChunk();
        }

        while (data.Length > Blake3Spec.ChunkBytes)
        {
            data = data[PushSubtree(data)..];
        }

        if (!data.IsEmpty)
        {
            MergeStack();
            _chunk.Append(data);
        }
    }

    /// <summary>The digest of all bytes so far; more may follow.</summary>
    public Digest Finish()
    {
        if (_stacked == 0)
        {
            var only = _chunk;
            return only.FinishRoot();
        }

        // From the right: each subtree on the stack is the left sibling of all that follows it.
        Span<uint> children = stackalloc uint[2 * Blake3Spec.CvWords];
        var left = children[..Blake3Spec.CvWords];
        var right = children[Blake3Spec.CvWords..];
        var remaining = _stacked;
        if (_chunk.Length > 0)
        {
            var last = _chunk;
            last.Finish(right);
        }
        else
        {
            Stacked(--remaining).CopyTo(right);
        }

        while (remaining > 1)
        {
            Stacked(--remaining).CopyTo(left);
            Blake3Tree.Parent(children, right, rootFlag: 0);
        }

        Stacked(0).CopyTo(left);
        return Blake3Tree.RootDigest(children);
    }

    /// <summary>Forgets all bytes.</summary>
    public void Reset()
    {
        _stacked = 0;
        _chunksStacked = 0;
        _chunk = new Blake3Chunk(counter: 0);
    }

    /// <summary>Moves the full chunk, which more bytes follow, to the stack.</summary>
    private void PushChunk()
    {
        MergeStack();
        _chunk.Finish(Stacked(_stacked++));
        StartChunk(chunksPushed: 1);
    }

    /// <summary>Hashes the largest whole subtree that may stand next and leaves it on the stack.</summary>
    /// <param name="data">More than one chunk.</param>
    /// <returns>Its length in bytes.</returns>
    private int PushSubtree(ReadOnlySpan<byte> data)
    {
        MergeStack();
        var fitting = 1 << BitOperations.Log2((uint)data.Length / Blake3Spec.ChunkBytes);
        var chunks = _chunksStacked == 0 ? fitting : (int)Math.Min((ulong)fitting, _chunksStacked & (0 - _chunksStacked));
        var bytes = chunks * Blake3Spec.ChunkBytes;
        if (chunks == 1)
        {
            Blake3Tree.HashSubtree(_kernel, data[..bytes], _chunksStacked, Stacked(_stacked++));
        }
        else
        {
            // Two halves rather than one whole, because nothing may follow and then their parent is the root.
            var halves = _stack.AsSpan(_stacked * Blake3Spec.CvWords, 2 * Blake3Spec.CvWords);
            Blake3Tree.HashToChildren(_kernel, data[..bytes], _chunksStacked, halves);
            _stacked += 2;
        }

        StartChunk(chunks);
        return bytes;
    }

    /// <summary>Merges the carry of the chunks so far, now that something follows: what stays is one value per binary digit.</summary>
    private void MergeStack()
    {
        var digits = BitOperations.PopCount(_chunksStacked);
        while (_stacked > digits)
        {
            _stacked--;
            var pair = _stack.AsSpan((_stacked - 1) * Blake3Spec.CvWords, 2 * Blake3Spec.CvWords);
            Blake3Tree.Parent(pair, pair[..Blake3Spec.CvWords], rootFlag: 0);
        }
    }

    private void StartChunk(int chunksPushed)
    {
        _chunksStacked += (ulong)chunksPushed;
        _chunk = new Blake3Chunk(_chunksStacked);
    }

    private Span<uint> Stacked(int index) => _stack.AsSpan(index * Blake3Spec.CvWords, Blake3Spec.CvWords);
}
