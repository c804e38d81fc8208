using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace P2PWeights.Store.Hashing;

/// <summary>
/// As many compressions side by side as a vector has lanes: vector i holds word i of each of them, so that the arithmetic is that of one
/// compression and only loading and storing know that there are several.
/// </summary>
/// <param name="narrower">Takes what does not fill all lanes.</param>
[SkipLocalsInit]
internal sealed unsafe class LaneKernel<TVector, TLanes>(Blake3Kernel narrower) : Blake3Kernel
    where TVector : unmanaged
    where TLanes : struct, ILanes<TVector>
{
    /// <summary>
    /// How far ahead the rows are prefetched, found by trial: enough to hide the memory's latency, and no further, because what lies beyond this
    /// batch may be in a page that is not mapped yet, where a prefetch costs a page walk and brings nothing.
    /// </summary>
    private const int PrefetchBlocks = 4;

    private static int LaneCount => sizeof(TVector) / sizeof(uint);

    public override int Lanes => LaneCount;

    public override bool IsSupported => TLanes.IsSupported;

    public override void HashChunks(ReadOnlySpan<byte> chunks, ulong counter, Span<uint> cvs)
    {
        var batch = Lanes * Blake3Spec.ChunkBytes;
        for (; chunks.Length >= batch; chunks = chunks[batch..], cvs = cvs[(Lanes * Blake3Spec.CvWords)..], counter += (ulong)Lanes)
        {
            fixed (byte* rows = chunks)
            fixed (uint* to = cvs[..(Lanes * Blake3Spec.CvWords)])
            {
                HashRows(rows, Blake3Spec.ChunkBytes, Blake3Spec.ChunkBlocks, counter, to);
            }
        }

        if (!chunks.IsEmpty)
        {
            narrower.HashChunks(chunks, counter, cvs);
        }
    }

    public override void HashParents(ReadOnlySpan<uint> children, Span<uint> parents)
    {
        var batch = Lanes * Blake3Spec.BlockWords;
        for (; children.Length >= batch; children = children[batch..], parents = parents[(Lanes * Blake3Spec.CvWords)..])
        {
            fixed (uint* rows = children)
            fixed (uint* to = parents[..(Lanes * Blake3Spec.CvWords)])
            {
                HashRows((byte*)rows, Blake3Spec.BlockBytes, blocks: 1, counter: 0, to);
            }
        }

        if (!children.IsEmpty)
        {
            narrower.HashParents(children, parents);
        }
    }

    /// <summary>Hashes one row per lane, each of <paramref name="blocks"/> blocks: chunks when there are several, parents when there is one.</summary>
    /// <param name="stride">Bytes from one row to the next.</param>
    /// <param name="cvs">Takes one chaining value per lane, after all rows have been read.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void HashRows(byte* rows, nint stride, int blocks, ulong counter, uint* cvs)
    {
        var isParent = blocks == 1;
        // Aligned, because a vector across two cache lines takes two accesses, and the rounds read each of these seven times.
        var scratch = stackalloc byte[(Blake3Spec.BlockWords + 2 + 1) * sizeof(TVector)];
        var message = (TVector*)(((nint)scratch + sizeof(TVector) - 1) & -sizeof(TVector));
        var counters = message + Blake3Spec.BlockWords;
        SetCounters(counter, step: isParent ? 0u : 1u, counters);

        TVector h0 = TLanes.Splat(Blake3Spec.Iv0), h1 = TLanes.Splat(Blake3Spec.Iv1), h2 = TLanes.Splat(Blake3Spec.Iv2), h3 = TLanes.Splat(Blake3Spec.Iv3);
        TVector h4 = TLanes.Splat(Blake3Spec.Iv4), h5 = TLanes.Splat(Blake3Spec.Iv5), h6 = TLanes.Splat(Blake3Spec.Iv6), h7 = TLanes.Splat(Blake3Spec.Iv7);
        fixed (byte* schedule = Blake3Spec.Schedule)
        {
            for (var block = 0; block < blocks; block++)
            {
                LoadMessage(rows + block * Blake3Spec.BlockBytes, stride, message);
                if (!isParent)
                {
                    // After the last block of these rows comes the first of the next batch's, which lie behind them.
                    var ahead = block + PrefetchBlocks;
                    var next = ahead < blocks ? rows : rows + LaneCount * stride - blocks * Blake3Spec.BlockBytes;
                    PrefetchRows(next + ahead * Blake3Spec.BlockBytes, stride);
                }

                var flags = isParent ? Blake3Spec.Parent : (block == 0 ? Blake3Spec.ChunkStart : 0) | (block == blocks - 1 ? Blake3Spec.ChunkEnd : 0);
                TVector v0 = h0, v1 = h1, v2 = h2, v3 = h3, v4 = h4, v5 = h5, v6 = h6, v7 = h7;
                TVector v8 = TLanes.Splat(Blake3Spec.Iv0), v9 = TLanes.Splat(Blake3Spec.Iv1), v10 = TLanes.Splat(Blake3Spec.Iv2), v11 = TLanes.Splat(Blake3Spec.Iv3);
                TVector v12 = counters[0], v13 = counters[1], v14 = TLanes.Splat(Blake3Spec.BlockBytes), v15 = TLanes.Splat(flags);

                // A loop over the rounds, not seven copies: the code stays small and the sixteen vectors stay in registers.
                for (var s = schedule; s < schedule + Blake3Spec.Rounds * Blake3Spec.BlockWords; s += Blake3Spec.BlockWords)
                {
                    Mix(ref v0, ref v4, ref v8, ref v12, message + s[0], message + s[1]);
                    Mix(ref v1, ref v5, ref v9, ref v13, message + s[2], message + s[3]);
                    Mix(ref v2, ref v6, ref v10, ref v14, message + s[4], message + s[5]);
                    Mix(ref v3, ref v7, ref v11, ref v15, message + s[6], message + s[7]);
                    Mix(ref v0, ref v5, ref v10, ref v15, message + s[8], message + s[9]);
                    Mix(ref v1, ref v6, ref v11, ref v12, message + s[10], message + s[11]);
                    Mix(ref v2, ref v7, ref v8, ref v13, message + s[12], message + s[13]);
                    Mix(ref v3, ref v4, ref v9, ref v14, message + s[14], message + s[15]);
                }

                h0 = TLanes.Xor(v0, v8);
                h1 = TLanes.Xor(v1, v9);
                h2 = TLanes.Xor(v2, v10);
                h3 = TLanes.Xor(v3, v11);
                h4 = TLanes.Xor(v4, v12);
                h5 = TLanes.Xor(v5, v13);
                h6 = TLanes.Xor(v6, v14);
                h7 = TLanes.Xor(v7, v15);
            }
        }

        StoreHalf(h0, h1, h2, h3, cvs);
        StoreHalf(h4, h5, h6, h7, cvs + Blake3Spec.CvWords / 2);
    }

    /// <summary>The quarter-round G of the paper, section 2.2. The message is added first, off the chain that waits for b.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Mix(ref TVector a, ref TVector b, ref TVector c, ref TVector d, TVector* x, TVector* y)
    {
        a = TLanes.Add(TLanes.Add(a, *x), b);
        d = TLanes.RotateRight16(TLanes.Xor(d, a));
        c = TLanes.Add(c, d);
        b = TLanes.RotateRight12(TLanes.Xor(b, c));
        a = TLanes.Add(TLanes.Add(a, *y), b);
        d = TLanes.RotateRight8(TLanes.Xor(d, a));
        c = TLanes.Add(c, d);
        b = TLanes.RotateRight7(TLanes.Xor(b, c));
    }

    /// <summary>Word i of each row's block into vector i.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void LoadMessage(byte* rows, nint stride, TVector* message)
    {
        for (var word = 0; word < Blake3Spec.BlockWords; word += 4)
        {
            var column = rows + word * sizeof(uint);
            var a = TLanes.LoadEveryFourthRow(column, stride);
            var b = TLanes.LoadEveryFourthRow(column + stride, stride);
            var c = TLanes.LoadEveryFourthRow(column + 2 * stride, stride);
            var d = TLanes.LoadEveryFourthRow(column + 3 * stride, stride);
            TLanes.Transpose(ref a, ref b, ref c, ref d);
            message[word] = a;
            message[word + 1] = b;
            message[word + 2] = c;
            message[word + 3] = d;
        }
    }

    /// <summary>
    /// Asks for one block of each row. The hardware foresees a run of addresses, not sixteen that advance by turns: without this, data that is not
    /// in the cache yet is hashed at two thirds of the speed. An address past the end of the input is harmless: a prefetch does not fault.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void PrefetchRows(byte* rows, nint stride)
    {
        if (Sse.IsSupported)
        {
            for (var lane = 0; lane < LaneCount; lane++)
            {
                Sse.Prefetch0(rows + lane * stride);
            }
        }
    }

    /// <summary>Four words of each lane's chaining value to memory.</summary>
    private static void StoreHalf(TVector a, TVector b, TVector c, TVector d, uint* cvs)
    {
        // After the transposition, 128 bits hold four words of one lane: lane 4 i + j lies in part i of vector j.
        TLanes.Transpose(ref a, ref b, ref c, ref d);
        var parts = stackalloc TVector[4] { a, b, c, d };
        for (var lane = 0; lane < LaneCount; lane++)
        {
            var part = (UInt128*)(parts + lane % 4) + lane / 4;
            Unsafe.WriteUnaligned(cvs + lane * Blake3Spec.CvWords, *part);
        }
    }

    /// <summary>The low and the high words of each lane's counter.</summary>
    private static void SetCounters(ulong first, uint step, TVector* counters)
    {
        var low = (uint*)counters;
        var high = (uint*)(counters + 1);
        for (var lane = 0u; lane < LaneCount; lane++)
        {
            var counter = first + lane * step;
            low[lane] = (uint)counter;
            high[lane] = (uint)(counter >> 32);
        }
    }
}
