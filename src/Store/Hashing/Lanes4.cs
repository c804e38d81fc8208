using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace P2PWeights.Store.Hashing;

/// <summary>Four lanes of 128 bits in all: every x86-64 and Arm64 CPU.</summary>
internal readonly unsafe struct Lanes4 : ILanes<Vector128<uint>>
{
    public static bool IsSupported => Sse2.IsSupported || AdvSimd.Arm64.IsSupported;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> Splat(uint word) => Vector128.Create(word);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> Add(Vector128<uint> left, Vector128<uint> right) => left + right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> Xor(Vector128<uint> left, Vector128<uint> right) => left ^ right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> RotateRight16(Vector128<uint> words) =>
        Vector128.Shuffle(words.AsByte(), Vector128.Create((byte)2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> RotateRight12(Vector128<uint> words) => words >>> 12 | words << 20;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> RotateRight8(Vector128<uint> words) =>
        Vector128.Shuffle(words.AsByte(), Vector128.Create((byte)1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12)).AsUInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> RotateRight7(Vector128<uint> words) => words >>> 7 | words << 25;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> LoadEveryFourthRow(byte* row, nint stride) => Vector128.Load((uint*)row);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Transpose(ref Vector128<uint> a, ref Vector128<uint> b, ref Vector128<uint> c, ref Vector128<uint> d)
    {
        var (abLow, abHigh) = (ZipLow(a, b).AsUInt64(), ZipHigh(a, b).AsUInt64());
        var (cdLow, cdHigh) = (ZipLow(c, d).AsUInt64(), ZipHigh(c, d).AsUInt64());
        a = Vector128.Create(abLow.GetLower(), cdLow.GetLower()).AsUInt32();
        b = Vector128.Create(abLow.GetUpper(), cdLow.GetUpper()).AsUInt32();
        c = Vector128.Create(abHigh.GetLower(), cdHigh.GetLower()).AsUInt32();
        d = Vector128.Create(abHigh.GetUpper(), cdHigh.GetUpper()).AsUInt32();
    }

    /// <summary>The first two words of both, alternating.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> ZipLow(Vector128<uint> left, Vector128<uint> right) =>
        Sse2.IsSupported ? Sse2.UnpackLow(left, right) : AdvSimd.Arm64.ZipLow(left, right);

    /// <summary>The last two words of both, alternating.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<uint> ZipHigh(Vector128<uint> left, Vector128<uint> right) =>
        Sse2.IsSupported ? Sse2.UnpackHigh(left, right) : AdvSimd.Arm64.ZipHigh(left, right);
}
