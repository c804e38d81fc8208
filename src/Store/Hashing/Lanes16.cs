using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace P2PWeights.Store.Hashing;

/// <summary>Sixteen lanes of 512 bits in all: x86-64 with AVX-512F, whose 32 registers hold a whole compression and which rotates in one instruction.</summary>
internal readonly unsafe struct Lanes16 : ILanes<Vector512<uint>>
{
    public static bool IsSupported => Avx512F.IsSupported;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Splat(uint word) => Vector512.Create(word);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Add(Vector512<uint> left, Vector512<uint> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> Xor(Vector512<uint> left, Vector512<uint> right) => left ^ right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> RotateRight16(Vector512<uint> words) => Avx512F.RotateRight(words, 16);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> RotateRight12(Vector512<uint> words) => Avx512F.RotateRight(words, 12);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> RotateRight8(Vector512<uint> words) => Avx512F.RotateRight(words, 8);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> RotateRight7(Vector512<uint> words) => Avx512F.RotateRight(words, 7);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<uint> LoadEveryFourthRow(byte* row, nint stride)
    {
        var lower = Vector256.Create(Vector128.Load((uint*)row), Vector128.Load((uint*)(row + 4 * stride)));
        var upper = Vector256.Create(Vector128.Load((uint*)(row + 8 * stride)), Vector128.Load((uint*)(row + 12 * stride)));

        // Vector512.Create(lower, upper) would insert both, through memory.
        return lower.ToVector512Unsafe().WithUpper(upper);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose(ref Vector512<uint> a, ref Vector512<uint> b, ref Vector512<uint> c, ref Vector512<uint> d)
    {
        var (abLow, abHigh) = (Avx512F.UnpackLow(a, b).AsUInt64(), Avx512F.UnpackHigh(a, b).AsUInt64());
        var (cdLow, cdHigh) = (Avx512F.UnpackLow(c, d).AsUInt64(), Avx512F.UnpackHigh(c, d).AsUInt64());
        a = Avx512F.UnpackLow(abLow, cdLow).AsUInt32();
        b = Avx512F.UnpackHigh(abLow, cdLow).AsUInt32();
        c = Avx512F.UnpackLow(abHigh, cdHigh).AsUInt32();
        d = Avx512F.UnpackHigh(abHigh, cdHigh).AsUInt32();
    }
}
