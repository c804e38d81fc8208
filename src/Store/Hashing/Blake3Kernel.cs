using System.Runtime.Intrinsics;

namespace P2PWeights.Store.Hashing;

/// <summary>
/// One way to run many compressions: whole chunks to chaining values, and pairs of chaining values to their parents'.
/// The tree above (<see cref="Blake3Tree"/>) is the same for all; a kernel only says how many it likes at a time.
/// </summary>
internal abstract class Blake3Kernel
{
    /// <summary>Every kernel, widest first; the last runs on any CPU.</summary>
    public static IReadOnlyList<Blake3Kernel> All { get; } = CreateAll();

    /// <summary>What this CPU runs fastest.</summary>
    public static Blake3Kernel Best { get; } = All.First(kernel => kernel.IsSupported);

    /// <summary>Whether this CPU has the instructions.</summary>
    public abstract bool IsSupported { get; }

    /// <summary>Chunks or parents that go through side by side: a power of two.</summary>
    public abstract int Lanes { get; }

    /// <summary>Hashes whole chunks that lie one after the other, none of which is the root.</summary>
    /// <param name="chunks">A multiple of <see cref="Blake3Spec.ChunkBytes"/>.</param>
    /// <param name="counter">Number of the first chunk in the input.</param>
    /// <param name="cvs">Takes <see cref="Blake3Spec.CvWords"/> words per chunk.</param>
    public abstract void HashChunks(ReadOnlySpan<byte> chunks, ulong counter, Span<uint> cvs);

    /// <summary>Hashes pairs of chaining values, none of whose parents is the root.</summary>
    /// <param name="children">A multiple of two chaining values.</param>
    /// <param name="parents">Takes half as many; may begin where <paramref name="children"/> begins.</param>
    public abstract void HashParents(ReadOnlySpan<uint> children, Span<uint> parents);

    private static Blake3Kernel[] CreateAll()
    {
        var scalar = new ScalarKernel();
        var lanes4 = new LaneKernel<Vector128<uint>, Lanes4>(scalar);
        var lanes8 = new LaneKernel<Vector256<uint>, Lanes8>(lanes4);
        var lanes16 = new LaneKernel<Vector512<uint>, Lanes16>(lanes8);
        return [lanes16, lanes8, lanes4, scalar];
    }
}
