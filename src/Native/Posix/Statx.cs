using System.Runtime.InteropServices;

namespace P2PWeights.Native.Posix;

/// <summary>
/// <c>struct statx</c> of <c>linux/stat.h</c>: unlike <c>struct stat</c> it has one layout on every processor. Only the fields that are used
/// here have names. Checked against the C compiler by tools/native-probe.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal struct Statx
{
    /// <summary>STATX_BASIC_STATS: everything that <c>struct stat</c> holds.</summary>
    public const uint BasicStats = 0x7ff;

    [FieldOffset(20)]
    public uint Owner;

    [FieldOffset(28)]
    public ushort Mode;

    [FieldOffset(32)]
    public ulong Inode;

    [FieldOffset(40)]
    public ulong Size;

    /// <summary>Units of 512 bytes, whatever the file system's block size.</summary>
    [FieldOffset(48)]
    public ulong Blocks;

    [FieldOffset(112)]
    public long ModifiedSeconds;

    [FieldOffset(120)]
    public uint ModifiedNanoseconds;

    [FieldOffset(136)]
    public uint DeviceMajor;

    [FieldOffset(140)]
    public uint DeviceMinor;

    /// <summary><c>st_dev</c> as <c>stat</c> would give it (<c>gnu_dev_makedev</c> of glibc's <c>sys/sysmacros.h</c>).</summary>
    public readonly ulong Device =>
        ((ulong)(DeviceMajor & 0xfffff000) << 32) | ((ulong)(DeviceMajor & 0xfff) << 8) | ((ulong)(DeviceMinor & 0xffffff00) << 12) | (DeviceMinor & 0xff);
}
