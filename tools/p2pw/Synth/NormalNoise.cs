using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace P2PWeights.Cli.Synth;

/// <summary>
/// Fills buffers with values that look like weights. Drawing from a normal distribution costs tens of nanoseconds per value, so 65,536 samples of it are
/// drawn once, encoded in each dtype, and every value is one of them, picked by 16 bits of a fast generator: about 1 GB/s per core. The bytes have the
/// histogram and the entropy of real weights; statistics beyond single values are not imitated.
/// </summary>
internal static class NormalNoise
{
    private const int Samples = 1 << 16;
    private const double WeightDeviation = 0.02;
    private const double NormDeviation = 0.05;

    /// <summary>Largest finite E4M3. Block-wise quantization maps a block's largest weight, about 4 deviations, to it.</summary>
    private const double MaxE4M3 = 448;
    private const double LargestInDeviations = 4;

    private static readonly double[] Normal = DrawNormal();
    private static readonly ushort[] WeightsBF16 = Encode(x => BF16(WeightDeviation * x));
    private static readonly ushort[] NormsBF16 = Encode(x => BF16(1 + (NormDeviation * x)));
    private static readonly byte[] WeightsE4M3 = Encode(x => E4M3(MaxE4M3 / LargestInDeviations * x));
    private static readonly float[] WeightsF32 = Encode(x => (float)(WeightDeviation * x));
    private static readonly float[] ScalesF32 = Encode(x => (float)(WeightDeviation * LargestInDeviations / MaxE4M3 * (1 + (0.1 * Math.Tanh(x)))));

    /// <summary>Where a tensor's random numbers start: FNV-1a of the name, mixed with the checkpoint's seed, so that no two tensors are alike.</summary>
    public static ulong SeedOf(long seed, string name)
    {
        var hash = 0xcbf29ce484222325;
        foreach (var b in Encoding.UTF8.GetBytes(name))
        {
            hash = (hash ^ b) * 0x100000001b3;
        }

        return Mix(hash ^ Mix((ulong)seed));
    }

    /// <summary>Fills <paramref name="destination"/>, whole elements of the tensor, with values that depend on <paramref name="seed"/> alone.</summary>
    public static void Fill(Span<byte> destination, SynthTensor tensor, ulong seed)
    {
        switch (tensor.DType, tensor.Values)
        {
            case ("BF16", SynthValues.Weight):
                Pick(destination, WeightsBF16, seed);
                break;
            case ("BF16", SynthValues.Norm):
                Pick(destination, NormsBF16, seed);
                break;
            case ("F8_E4M3", SynthValues.Weight):
                Pick(destination, WeightsE4M3, seed);
                break;
            case ("F32", SynthValues.Weight):
                Pick(destination, WeightsF32, seed);
                break;
            case ("F32", SynthValues.Scale):
                Pick(destination, ScalesF32, seed);
                break;
            default:
                throw new InvalidOperationException($"no synthetic values of dtype {tensor.DType} for {tensor.Values}");
        }
    }

    /// <summary>A well-mixed number from a number: one step of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).</summary>
    public static ulong Mix(ulong value)
    {
        value += 0x9e3779b97f4a7c15;
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
        value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
        return value ^ (value >> 31);
    }

    // Nearly all the time is spent here: it is compiled at full speed from the first call on, not after some hundred megabytes.
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Pick<T>(Span<byte> destination, T[] samples, ulong seed)
        where T : unmanaged
    {
        var values = MemoryMarshal.Cast<byte, T>(destination);
        ref var sample = ref MemoryMarshal.GetArrayDataReference(samples);
        while (values.Length >= 4)
        {
            var random = Mix(seed++);

            // A ushort cannot leave a table of 65,536.
            values[0] = Unsafe.Add(ref sample, (ushort)random);
            values[1] = Unsafe.Add(ref sample, (ushort)(random >> 16));
            values[2] = Unsafe.Add(ref sample, (ushort)(random >> 32));
            values[3] = Unsafe.Add(ref sample, (ushort)(random >> 48));
            values = values[4..];
        }

        for (var i = 0; i < values.Length; i++)
        {
            values[i] = samples[(ushort)(Mix(seed) >> (16 * i))];
        }
    }

    // Box-Muller.
    private static double[] DrawNormal()
    {
        var samples = new double[Samples];
        for (var i = 0; i < Samples; i++)
        {
            samples[i] = Math.Sqrt(-2 * Math.Log(Uniform((2 * i) + 1))) * Math.Cos(2 * Math.PI * Uniform((2 * i) + 2));
        }

        return samples;
    }

    // In (0, 1]: the logarithm of 0 is not wanted.
    private static double Uniform(int index) => ((Mix((ulong)index) >> 11) + 1) * (1.0 / (1L << 53));

    private static T[] Encode<T>(Func<double, T> encode) => Array.ConvertAll(Normal, x => encode(x));

    // The upper half of a float, rounded to nearest.
    private static ushort BF16(double value) => (ushort)((BitConverter.SingleToUInt32Bits((float)value) + 0x8000) >> 16);

    // 1 sign, 4 exponent bits with bias 7, 3 mantissa bits; subnormal below 2^-6 (https://arxiv.org/abs/2209.05433).
    private static byte E4M3(double value)
    {
        var magnitude = Math.Min(Math.Abs(value), MaxE4M3);
        var exponent = magnitude == 0 ? -6 : Math.Max(-6, Math.ILogB(magnitude));
        var eighths = (int)Math.Round(Math.ScaleB(magnitude, 3 - exponent));

        // Mantissa 16 carries into the exponent, below 8 there is no leading one: the sum is right in all three cases.
        var bits = ((exponent + 7) << 3) + eighths - 8;
        return (byte)(bits | (value < 0 ? 0x80 : 0));
    }
}
