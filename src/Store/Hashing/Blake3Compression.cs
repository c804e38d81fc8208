using System.Numerics;
using System.Runtime.CompilerServices;

namespace P2PWeights.Store.Hashing;

/// <summary>The compression function in plain arithmetic, one block at a time: what every other kernel must agree with.</summary>
internal static class Blake3Compression
{
    /// <summary>Replaces <paramref name="cv"/> (8 words) by the compression of it with <paramref name="message"/> (16 words).</summary>
    /// <param name="counter">The chunk's number in the input; 0 for a parent.</param>
    /// <param name="blockBytes">Bytes of the block that are input; the rest of the message is zero.</param>
    public static void Compress(Span<uint> cv, ReadOnlySpan<uint> message, ulong counter, uint blockBytes, uint flags)
    {
        // The two slicings prove the lengths, so that the accesses below need no check each.
        cv = cv[..Blake3Spec.CvWords];
        message = message[..Blake3Spec.BlockWords];

        uint v0 = cv[0], v1 = cv[1], v2 = cv[2], v3 = cv[3], v4 = cv[4], v5 = cv[5], v6 = cv[6], v7 = cv[7];
        uint v8 = Blake3Spec.Iv0, v9 = Blake3Spec.Iv1, v10 = Blake3Spec.Iv2, v11 = Blake3Spec.Iv3;
        uint v12 = (uint)counter, v13 = (uint)(counter >> 32), v14 = blockBytes, v15 = flags;

        var schedule = Blake3Spec.Schedule;
        for (var round = 0; round < Blake3Spec.Rounds; round++)
        {
            var s = schedule.Slice(round * Blake3Spec.BlockWords, Blake3Spec.BlockWords);
            Mix(ref v0, ref v4, ref v8, ref v12, message[s[0]], message[s[1]]);
            Mix(ref v1, ref v5, ref v9, ref v13, message[s[2]], message[s[3]]);
            Mix(ref v2, ref v6, ref v10, ref v14, message[s[4]], message[s[5]]);
            Mix(ref v3, ref v7, ref v11, ref v15, message[s[6]], message[s[7]]);
            Mix(ref v0, ref v5, ref v10, ref v15, message[s[8]], message[s[9]]);
            Mix(ref v1, ref v6, ref v11, ref v12, message[s[10]], message[s[11]]);
            Mix(ref v2, ref v7, ref v8, ref v13, message[s[12]], message[s[13]]);
            Mix(ref v3, ref v4, ref v9, ref v14, message[s[14]], message[s[15]]);
        }

        cv[0] = v0 ^ v8;
        cv[1] = v1 ^ v9;
        cv[2] = v2 ^ v10;
        cv[3] = v3 ^ v11;
        cv[4] = v4 ^ v12;
        cv[5] = v5 ^ v13;
        cv[6] = v6 ^ v14;
        cv[7] = v7 ^ v15;
    }

    /// <summary>The quarter-round G of the paper, section 2.2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Mix(ref uint a, ref uint b, ref uint c, ref uint d, uint x, uint y)
    {
        a = a + b + x;
        d = BitOperations.RotateRight(d ^ a, 16);
        c += d;
        b = BitOperations.RotateRight(b ^ c, 12);
        a = a + b + y;
        d = BitOperations.RotateRight(d ^ a, 8);
        c += d;
        b = BitOperations.RotateRight(b ^ c, 7);
    }
}
