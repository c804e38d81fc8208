using System.Runtime.InteropServices;

namespace P2PWeights.Native.Cuda.Imports;

/// <summary><c>CUmemcpyAttributes</c> of <c>cuda.h</c>, since CUDA 12.8: how the copies of a batch may be done.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CUmemcpyAttributes
{
    /// <summary>A <c>CUmemcpySrcAccessOrder</c>.</summary>
    public int SourceAccessOrder;

    /// <summary>Hints for memory that moves by itself, which this project has none of: ignored for all other.</summary>
    public CUmemLocation SourceHint;

    /// <inheritdoc cref="SourceHint"/>
    public CUmemLocation DestinationHint;

    /// <summary>Of <c>CUmemcpyFlags</c>.</summary>
    public uint Flags;
}

/// <summary><c>CUmemLocation</c> of <c>cuda.h</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct CUmemLocation
{
    /// <summary>A <c>CUmemLocationType</c>.</summary>
    public int Type;

    /// <summary>Number of the device.</summary>
    public int Id;
}
