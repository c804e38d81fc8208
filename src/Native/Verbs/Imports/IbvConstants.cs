namespace P2PWeights.Native.Verbs.Imports;

/// <summary>Constants of <c>infiniband/verbs.h</c>, under their C names; checked against the header by tools/native-probe.</summary>
internal static partial class Ibv
{
    // enum ibv_transport_type
    public const int IBV_TRANSPORT_IB = 0;

    // enum ibv_device_cap_flags
    public const uint IBV_DEVICE_MEM_WINDOW = 1 << 17;
    public const uint IBV_DEVICE_MEM_WINDOW_TYPE_2A = 1 << 23;
    public const uint IBV_DEVICE_MEM_WINDOW_TYPE_2B = 1 << 24;

    // enum ibv_access_flags
    public const int IBV_ACCESS_REMOTE_READ = 4;
    public const int IBV_ACCESS_OPTIONAL_RANGE = 0x3ff00000;

    // enum ibv_mw_type
    public const int IBV_MW_TYPE_1 = 1;

    // enum ibv_qp_type
    public const int IBV_QPT_RC = 2;

    // enum ibv_wr_opcode
    public const int IBV_WR_RDMA_READ = 4;

    // enum ibv_send_flags
    public const uint IBV_SEND_SIGNALED = 2;

    // enum ibv_qp_attr_mask
    public const int IBV_QP_STATE = 1 << 0;
    public const int IBV_QP_ACCESS_FLAGS = 1 << 3;
    public const int IBV_QP_PKEY_INDEX = 1 << 4;
    public const int IBV_QP_PORT = 1 << 5;
    public const int IBV_QP_AV = 1 << 7;
    public const int IBV_QP_PATH_MTU = 1 << 8;
    public const int IBV_QP_TIMEOUT = 1 << 9;
    public const int IBV_QP_RETRY_CNT = 1 << 10;
    public const int IBV_QP_RNR_RETRY = 1 << 11;
    public const int IBV_QP_RQ_PSN = 1 << 12;
    public const int IBV_QP_MAX_QP_RD_ATOMIC = 1 << 13;
    public const int IBV_QP_MIN_RNR_TIMER = 1 << 15;
    public const int IBV_QP_SQ_PSN = 1 << 16;
    public const int IBV_QP_MAX_DEST_RD_ATOMIC = 1 << 17;
    public const int IBV_QP_DEST_QPN = 1 << 20;
}
