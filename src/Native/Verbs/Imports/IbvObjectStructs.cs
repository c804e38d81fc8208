using System.Runtime.InteropServices;

namespace P2PWeights.Native.Verbs.Imports;

// The public heads of the objects that libibverbs makes, as infiniband/verbs.h has them; checked by tools/native-probe.
// The library owns them; what lies behind the named fields is its own business.

[StructLayout(LayoutKind.Explicit)]
internal unsafe struct ibv_mr
{
    [FieldOffset(0)]
    public ibv_context* context;

    [FieldOffset(36)]
    public uint lkey;

    [FieldOffset(40)]
    public uint rkey;
}

[StructLayout(LayoutKind.Explicit)]
internal unsafe struct ibv_mw
{
    [FieldOffset(0)]
    public ibv_context* context;

    [FieldOffset(16)]
    public uint rkey;
}

[StructLayout(LayoutKind.Explicit)]
internal unsafe struct ibv_comp_channel
{
    [FieldOffset(0)]
    public ibv_context* context;

    [FieldOffset(8)]
    public int fd;
}

[StructLayout(LayoutKind.Explicit)]
internal unsafe struct ibv_cq
{
    [FieldOffset(0)]
    public ibv_context* context;

    [FieldOffset(28)]
    public int cqe;
}

[StructLayout(LayoutKind.Explicit)]
internal unsafe struct ibv_qp
{
    [FieldOffset(0)]
    public ibv_context* context;

    [FieldOffset(52)]
    public uint qp_num;
}
