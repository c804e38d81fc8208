using System.Runtime.CompilerServices;
using P2PWeights.Store.Content;

namespace P2PWeights.Store.Hashing;

/// <summary>One chunk while its bytes arrive in pieces. The last block is held back, because only the end tells its flags.</summary>
internal struct Blake3Chunk
{
    private readonly ulong _counter;
    private Cv _cv;
    private Block _block;
    private int _blockBytes;
    private int _blocksDone;

    /// <param name="counter">The chunk's number in the input.</param>
    public Blake3Chunk(ulong counter)
    {
        _counter = counter;
        Blake3Spec.Iv.CopyTo(_cv);
    }

    /// <summary>Bytes taken so far, at most <see cref="Blake3Spec.ChunkBytes"/>.</summary>
    public readonly int Length => _blocksDone * Blake3Spec.BlockBytes + _blockBytes;

    private readonly uint StartFlag => _blocksDone == 0 ? Blake3Spec.ChunkStart : 0;

    /// <summary>Adds bytes; the caller keeps the sum within one chunk.</summary>
    public void Append(ReadOnlySpan<byte> data)
    {
        Span<byte> block = _block;
        while (!data.IsEmpty)
        {
            if (_blockBytes == Blake3Spec.BlockBytes)
            {
                CompressBlock(StartFlag);
                _blocksDone++;
                _blockBytes = 0;
            }

            var taken = Math.Min(Blake3Spec.BlockBytes - _blockBytes, data.Length);
            data[..taken].CopyTo(block[_blockBytes..]);
            _blockBytes += taken;
            data = data[taken..];
        }
    }

    /// <summary>Writes the chaining value of the chunk as a part of a larger tree. The chunk is used up.</summary>
    public void Finish(Span<uint> cv)
    {
        CompressLastBlock(0);
        ((ReadOnlySpan<uint>)_cv).CopyTo(cv);
    }

    /// <summary>The digest when this chunk is the whole input. The chunk is used up.</summary>
    public Digest FinishRoot()
    {
        CompressLastBlock(Blake3Spec.Root);
        return Blake3Tree.ToDigest(_cv);
    }

    private void CompressLastBlock(uint rootFlag)
    {
        ((Span<byte>)_block)[_blockBytes..].Clear();
        CompressBlock(StartFlag | Blake3Spec.ChunkEnd | rootFlag);
    }

    private void CompressBlock(uint flags)
    {
        Span<uint> message = stackalloc uint[Blake3Spec.BlockWords];
        Blake3Tree.ReadWords(_block, message);
        Blake3Compression.Compress(_cv, message, _counter, (uint)_blockBytes, flags);
    }

    [InlineArray(Blake3Spec.CvWords)]
    private struct Cv
    {
        private uint _word;
    }

    [InlineArray(Blake3Spec.BlockBytes)]
    private struct Block
    {
        private byte _byte;
    }
}
