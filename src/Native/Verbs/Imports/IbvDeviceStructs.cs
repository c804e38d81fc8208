using System.Runtime.InteropServices;

namespace P2PWeights.Native.Verbs.Imports;

// Structs of infiniband/verbs.h that describe devices, under their C names, on 64-bit Linux; checked against the header by tools/native-probe.
// Fields that nothing here uses are left out where the layout is explicit.

/// <summary>A device that the library found; valid until the list it came in is freed, longer when it was opened.</summary>
[StructLayout(LayoutKind.Explicit, Size = 664)]
internal unsafe struct ibv_device
{
    [FieldOffset(20)]
    public int transport_type;

    /// <summary>NUL-terminated, such as <c>mlx5_0</c>.</summary>
    [FieldOffset(24)]
    public fixed byte name[64];

    /// <summary>NUL-terminated, such as <c>uverbs0</c>: its node below /dev/infiniband.</summary>
    [FieldOffset(88)]
    public fixed byte dev_name[64];
}

/// <summary>The verbs that the header calls inline, as the device's driver fills them in; they return an errno or, those that make something, NULL.</summary>
[StructLayout(LayoutKind.Explicit, Size = 256)]
internal unsafe struct ibv_context_ops
{
    [FieldOffset(56)]
    public delegate* unmanaged<nint, int, ibv_mw*> alloc_mw;

    [FieldOffset(64)]
    public delegate* unmanaged<nint, nint, ibv_mw_bind*, int> bind_mw;

    [FieldOffset(72)]
    public delegate* unmanaged<nint, int> dealloc_mw;

    [FieldOffset(88)]
    public delegate* unmanaged<nint, int, WorkCompletion*, int> poll_cq;

    [FieldOffset(96)]
    public delegate* unmanaged<nint, int, int> req_notify_cq;

    [FieldOffset(200)]
    public delegate* unmanaged<nint, ibv_send_wr*, ibv_send_wr**, int> post_send;
}

/// <summary>An open device.</summary>
[StructLayout(LayoutKind.Explicit, Size = 328)]
internal unsafe struct ibv_context
{
    [FieldOffset(0)]
    public ibv_device* device;

    [FieldOffset(8)]
    public ibv_context_ops ops;

    [FieldOffset(268)]
    public int async_fd;

    [FieldOffset(272)]
    public int num_comp_vectors;
}

internal unsafe struct ibv_device_attr
{
    public fixed byte fw_ver[64];
    public ulong node_guid;
    public ulong sys_image_guid;
    public ulong max_mr_size;
    public ulong page_size_cap;
    public uint vendor_id;
    public uint vendor_part_id;
    public uint hw_ver;
    public int max_qp;
    public int max_qp_wr;
    public uint device_cap_flags;
    public int max_sge;
    public int max_sge_rd;
    public int max_cq;
    public int max_cqe;
    public int max_mr;
    public int max_pd;
    public int max_qp_rd_atom;
    public int max_ee_rd_atom;
    public int max_res_rd_atom;
    public int max_qp_init_rd_atom;
    public int max_ee_init_rd_atom;
    public int atomic_cap;
    public int max_ee;
    public int max_rdd;
    public int max_mw;
    public int max_raw_ipv6_qp;
    public int max_raw_ethy_qp;
    public int max_mcast_grp;
    public int max_mcast_qp_attach;
    public int max_total_mcast_qp_attach;
    public int max_ah;
    public int max_fmr;
    public int max_map_per_fmr;
    public int max_srq;
    public int max_srq_wr;
    public int max_srq_sge;
    public ushort max_pkeys;
    public byte local_ca_ack_delay;
    public byte phys_port_cnt;
}

internal struct ibv_port_attr
{
    public int state;
    public int max_mtu;
    public int active_mtu;
    public int gid_tbl_len;
    public uint port_cap_flags;
    public uint max_msg_sz;
    public uint bad_pkey_cntr;
    public uint qkey_viol_cntr;
    public ushort pkey_tbl_len;
    public ushort lid;
    public ushort sm_lid;
    public byte lmc;
    public byte max_vl_num;
    public byte sm_sl;
    public byte subnet_timeout;
    public byte init_type_reply;
    public byte active_width;
    public byte active_speed;
    public byte phys_state;
    public byte link_layer;
    public byte flags;
    public ushort port_cap_flags2;
}

internal struct ibv_gid_entry
{
    public Gid gid;
    public uint gid_index;
    public uint port_num;
    public uint gid_type;
    public uint ndev_ifindex;
}

/// <summary><c>element</c> is a union: a pointer to the queue, or the port number in its first four bytes.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal unsafe struct ibv_async_event
{
    [FieldOffset(0)]
    public ibv_qp* qp;

    [FieldOffset(0)]
    public int port_num;

    [FieldOffset(8)]
    public int event_type;
}
