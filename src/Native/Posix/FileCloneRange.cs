using System.Runtime.InteropServices;

namespace P2PWeights.Native.Posix;

/// <summary><c>struct file_clone_range</c> of <c>linux/fs.h</c>. Checked against the C compiler by tools/native-probe.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct FileCloneRange
{
    /// <summary>Descriptor of the file that is cloned from.</summary>
    public long Source;

    public ulong SourceOffset;

    public ulong Length;

    public ulong DestinationOffset;
}
