namespace P2PWeights.Store.Hashing;

/// <summary>The numbers of the BLAKE3 paper, section 2 (https://github.com/BLAKE3-team/BLAKE3-specs/blob/master/blake3.pdf).</summary>
internal static class Blake3Spec
{
    /// <summary>Bytes in one compression's message.</summary>
    public const int BlockBytes = 64;

    /// <summary>32-bit words in one compression's message.</summary>
    public const int BlockWords = 16;

    /// <summary>Bytes in a chunk, the leaf of the hash tree.</summary>
    public const int ChunkBytes = 1024;

    /// <summary>Blocks in a whole chunk.</summary>
    public const int ChunkBlocks = ChunkBytes / BlockBytes;

    /// <summary>32-bit words in a chaining value ("CV"), which stands for a whole subtree.</summary>
    public const int CvWords = 8;

    public const int Rounds = 7;

    /// <summary>Domain flags of a compression (table 3).</summary>
    public const uint ChunkStart = 1, ChunkEnd = 2, Parent = 4, Root = 8;

    /// <summary>The initial chaining value: that of SHA-256 (table 1).</summary>
    public const uint
        Iv0 = 0x6A09E667, Iv1 = 0xBB67AE85, Iv2 = 0x3C6EF372, Iv3 = 0xA54FF53A,
        Iv4 = 0x510E527F, Iv5 = 0x9B05688C, Iv6 = 0x1F83D9AB, Iv7 = 0x5BE0CD19;

    /// <summary><see cref="Iv0"/> to <see cref="Iv7"/> as a run of words.</summary>
    public static ReadOnlySpan<uint> Iv => [Iv0, Iv1, Iv2, Iv3, Iv4, Iv5, Iv6, Iv7];

    /// <summary>Which message word each step of each round takes: the permutation of table 2 applied zero to six times.</summary>
    public static ReadOnlySpan<byte> Schedule =>
    [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8,
        3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1,
        10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6,
        12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4,
        9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7,
        11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13,
    ];

    /// <summary>Chunks in <paramref name="length"/> bytes, the last of which may be short.</summary>
    public static int ChunksIn(int length) => (int)(((uint)length + (ChunkBytes - 1)) / ChunkBytes);
}
