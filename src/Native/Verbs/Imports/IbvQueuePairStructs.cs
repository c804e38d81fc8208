namespace P2PWeights.Native.Verbs.Imports;

// Structs of infiniband/verbs.h that make and connect queue pairs, under their C names; checked by tools/native-probe.

internal struct ibv_qp_cap
{
    public uint max_send_wr;
    public uint max_recv_wr;
    public uint max_send_sge;
    public uint max_recv_sge;
    public uint max_inline_data;
}

internal struct ibv_qp_init_attr
{
    public nint qp_context;
    public nint send_cq;
    public nint recv_cq;
    public nint srq;
    public ibv_qp_cap cap;
    public int qp_type;
    public int sq_sig_all;
}

internal struct ibv_global_route
{
    public Gid dgid;
    public uint flow_label;
    public byte sgid_index;
    public byte hop_limit;
    public byte traffic_class;
}

internal struct ibv_ah_attr
{
    public ibv_global_route grh;
    public ushort dlid;
    public byte sl;
    public byte src_path_bits;
    public byte static_rate;
    public byte is_global;
    public byte port_num;
}

internal struct ibv_qp_attr
{
    public int qp_state;
    public int cur_qp_state;
    public int path_mtu;
    public int path_mig_state;
    public uint qkey;
    public uint rq_psn;
    public uint sq_psn;
    public uint dest_qp_num;
    public uint qp_access_flags;
    public ibv_qp_cap cap;
    public ibv_ah_attr ah_attr;
    public ibv_ah_attr alt_ah_attr;
    public ushort pkey_index;
    public ushort alt_pkey_index;
    public byte en_sqd_async_notify;
    public byte sq_draining;
    public byte max_rd_atomic;
    public byte max_dest_rd_atomic;
    public byte min_rnr_timer;
    public byte port_num;
    public byte timeout;
    public byte retry_cnt;
    public byte rnr_retry;
    public byte alt_port_num;
    public byte alt_timeout;
    public uint rate_limit;
}
