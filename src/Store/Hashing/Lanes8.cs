using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace P2PWeights.Store.Hashing;

/// <summary>Eight lanes of 256 bits in all: x86-64 with AVX2.</summary>
internal readonly unsafe struct Lanes8 : ILanes<Vector256<uint>>
{
    public static bool IsSupported => Avx2.IsSupported;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Splat(uint word) => Vector256.Create(word);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Add(Vector256<uint> left, Vector256<uint> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> Xor(Vector256<uint> left, Vector256<uint> right) => left ^ right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateRight16(Vector256<uint> words) =>
        Avx2.Shuffle(words.AsByte(), Vector256.Create(Vector128.Create((byte)2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13))).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateRight12(Vector256<uint> words) => words >>> 12 | words << 20;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateRight8(Vector256<uint> words) =>
        Avx2.Shuffle(words.AsByte(), Vector256.Create(Vector128.Create((byte)1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12))).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateRight7(Vector256<uint> words) => words >>> 7 | words << 25;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> LoadEveryFourthRow(byte* row, nint stride) =>
        Vector256.Create(Vector128.Load((uint*)row), Vector128.Load((uint*)(row + 4 * stride)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose(ref Vector256<uint> a, ref Vector256<uint> b, ref Vector256<uint> c, ref Vector256<uint> d)
    {
        var (abLow, abHigh) = (Avx2.UnpackLow(a, b).AsUInt64(), Avx2.UnpackHigh(a, b).AsUInt64());
        var (cdLow, cdHigh) = (Avx2.UnpackLow(c, d).AsUInt64(), Avx2.UnpackHigh(c, d).AsUInt64());
        a = Avx2.UnpackLow(abLow, cdLow).AsUInt32();
        b = Avx2.UnpackHigh(abLow, cdLow).AsUInt32();
        c = Avx2.UnpackLow(abHigh, cdHigh).AsUInt32();
        d = Avx2.UnpackHigh(abHigh, cdHigh).AsUInt32();
    }
}
