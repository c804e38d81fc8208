using System.Runtime.InteropServices;

namespace P2PWeights.Native.Cuda.Imports;

/// <summary><c>CUipcMemHandle</c>: opaque bytes that another process of the host makes an address of.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct CUipcMemHandle
{
    /// <summary>CU_IPC_HANDLE_SIZE</summary>
    public const int Size = 64;

    public fixed byte reserved[Size];

    public static CUipcMemHandle From(ReadOnlySpan<byte> bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(bytes.Length, Size);
        CUipcMemHandle handle;
        bytes.CopyTo(new Span<byte>(handle.reserved, Size));
        return handle;
    }

    public readonly byte[] ToArray()
    {
        fixed (byte* bytes = reserved)
            return new ReadOnlySpan<byte>(bytes, Size).ToArray();
    }
}
