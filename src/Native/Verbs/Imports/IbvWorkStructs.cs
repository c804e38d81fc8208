using System.Runtime.InteropServices;

namespace P2PWeights.Native.Verbs.Imports;

// Structs of infiniband/verbs.h that say what a queue pair is to do, under their C names; checked by tools/native-probe.

internal struct ibv_sge
{
    public ulong addr;
    public uint length;
    public uint lkey;
}

internal struct ibv_mw_bind_info
{
    public nint mr;
    public ulong addr;
    public ulong length;
    public uint mw_access_flags;
}

internal struct ibv_mw_bind
{
    public ulong wr_id;
    public uint send_flags;
    public ibv_mw_bind_info bind_info;
}

/// <summary>A work request. Of its unions only the members for READ are named.</summary>
[StructLayout(LayoutKind.Explicit, Size = 128)]
internal unsafe struct ibv_send_wr
{
    [FieldOffset(0)]
    public ulong wr_id;

    [FieldOffset(8)]
    public ibv_send_wr* next;

    [FieldOffset(16)]
    public ibv_sge* sg_list;

    [FieldOffset(24)]
    public int num_sge;

    [FieldOffset(28)]
    public int opcode;

    [FieldOffset(32)]
    public uint send_flags;

    [FieldOffset(40)]
    public ulong rdma_remote_addr;

    [FieldOffset(48)]
    public uint rdma_rkey;
}
