using System.Diagnostics;
using System.Runtime.InteropServices;
using P2PWeights.Bench.Measuring;

namespace P2PWeights.Bench.Paths;

/// <summary>The anchors of paths inside one machine: a copy of a file, and a copy of memory.</summary>
internal static class Copying
{
    public static readonly Tool Cp = new("cp", package: "coreutils");

    private const int PartBytes = 16 << 20;

    /// <summary><c>cp</c> of a file in tmpfs to a new file there, from its start to its end.</summary>
    public static async Task<Sample> CopyFileAsync(string source, string target, CancellationToken cancellationToken)
    {
        File.Delete(target);
        var (_, seconds, cpu) = await Cp.RunAsync([source, target], cancellationToken);
        var bytes = new FileInfo(target).Length;
        File.Delete(target);
        return Sample.Of(bytes, seconds, sending: 0, receiving: cpu);
    }

    /// <summary><c>memcpy</c> on one thread, 16 MiB at a time, from memory to memory that has all been touched before.</summary>
    public static unsafe Sample CopyMemory(long bytes)
    {
        var source = (byte*)NativeMemory.Alloc((nuint)bytes);
        var target = (byte*)NativeMemory.Alloc((nuint)bytes);
        try
        {
            Fill(source, bytes, 1);
            Fill(target, bytes, 2);
            var cpu = CpuClock.SecondsOf(Environment.ProcessId);
            var started = Stopwatch.GetTimestamp();
            for (var offset = 0L; offset < bytes; offset += PartBytes)
            {
                var length = Math.Min(PartBytes, bytes - offset);
                Buffer.MemoryCopy(source + offset, target + offset, length, length);
            }

            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            return Sample.Of(bytes, seconds, sending: 0, receiving: CpuClock.SecondsOf(Environment.ProcessId) - cpu);
        }
        finally
        {
            NativeMemory.Free(source);
            NativeMemory.Free(target);
        }
    }

    private static unsafe void Fill(byte* memory, long bytes, byte value)
    {
        for (var offset = 0L; offset < bytes; offset += PartBytes)
        {
            new Span<byte>(memory + offset, (int)Math.Min(PartBytes, bytes - offset)).Fill(value);
        }
    }
}
