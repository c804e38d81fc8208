/* Prints, as "name value" lines, what infiniband/verbs.h says about every struct and constant that src/Native/Verbs states by hand.
   tests/Native.Tests compiles and runs it with cc where libibverbs-dev is installed, and compares. Needs no library and no device. */
#include <infiniband/verbs.h>
#include <stddef.h>
#include <stdio.h>

#define VALUE(name) printf(#name " %lld\n", (long long)(name))
#define SIZE(type) printf(#type " %zu\n", sizeof(struct type))
#define FIELD(type, field) printf(#type "." #field " %zu\n", offsetof(struct type, field))

static void devices(void) {
    SIZE(ibv_device);
    FIELD(ibv_device, transport_type); FIELD(ibv_device, name); FIELD(ibv_device, dev_name);
    VALUE(IBV_SYSFS_NAME_MAX);

    SIZE(ibv_context_ops);
    FIELD(ibv_context_ops, alloc_mw); FIELD(ibv_context_ops, bind_mw); FIELD(ibv_context_ops, dealloc_mw); FIELD(ibv_context_ops, poll_cq);
    FIELD(ibv_context_ops, req_notify_cq); FIELD(ibv_context_ops, post_send);

    SIZE(ibv_context);
    FIELD(ibv_context, device); FIELD(ibv_context, ops); FIELD(ibv_context, async_fd); FIELD(ibv_context, num_comp_vectors);

    SIZE(ibv_device_attr);
    FIELD(ibv_device_attr, fw_ver); FIELD(ibv_device_attr, max_mr_size); FIELD(ibv_device_attr, max_qp_wr); FIELD(ibv_device_attr, device_cap_flags);
    FIELD(ibv_device_attr, max_cqe); FIELD(ibv_device_attr, max_mr); FIELD(ibv_device_attr, max_qp_rd_atom);
    FIELD(ibv_device_attr, max_qp_init_rd_atom); FIELD(ibv_device_attr, max_mw); FIELD(ibv_device_attr, max_pkeys); FIELD(ibv_device_attr, phys_port_cnt);

    SIZE(ibv_port_attr);
    FIELD(ibv_port_attr, state); FIELD(ibv_port_attr, active_mtu); FIELD(ibv_port_attr, max_msg_sz); FIELD(ibv_port_attr, lid);
    FIELD(ibv_port_attr, link_layer); FIELD(ibv_port_attr, port_cap_flags2);

    SIZE(ibv_gid_entry);
    FIELD(ibv_gid_entry, gid); FIELD(ibv_gid_entry, gid_index); FIELD(ibv_gid_entry, port_num); FIELD(ibv_gid_entry, gid_type);
    FIELD(ibv_gid_entry, ndev_ifindex);
    printf("ibv_gid %zu\n", sizeof(union ibv_gid));

    SIZE(ibv_async_event);
    FIELD(ibv_async_event, element.qp); FIELD(ibv_async_event, element.port_num); FIELD(ibv_async_event, event_type);
}

static void objects(void) {
    FIELD(ibv_mr, context); FIELD(ibv_mr, lkey); FIELD(ibv_mr, rkey);
    FIELD(ibv_mw, context); FIELD(ibv_mw, rkey);
    FIELD(ibv_comp_channel, context); FIELD(ibv_comp_channel, fd);
    FIELD(ibv_cq, context); FIELD(ibv_cq, cqe);
    FIELD(ibv_qp, context); FIELD(ibv_qp, qp_num);
}

static void queue_pairs(void) {
    SIZE(ibv_qp_cap);
    FIELD(ibv_qp_cap, max_send_wr); FIELD(ibv_qp_cap, max_recv_wr); FIELD(ibv_qp_cap, max_send_sge); FIELD(ibv_qp_cap, max_recv_sge);
    SIZE(ibv_qp_init_attr);
    FIELD(ibv_qp_init_attr, send_cq); FIELD(ibv_qp_init_attr, recv_cq); FIELD(ibv_qp_init_attr, srq); FIELD(ibv_qp_init_attr, cap);
    FIELD(ibv_qp_init_attr, qp_type); FIELD(ibv_qp_init_attr, sq_sig_all);
    SIZE(ibv_global_route);
    FIELD(ibv_global_route, dgid); FIELD(ibv_global_route, flow_label); FIELD(ibv_global_route, sgid_index); FIELD(ibv_global_route, hop_limit);
    FIELD(ibv_global_route, traffic_class);
    SIZE(ibv_ah_attr);
    FIELD(ibv_ah_attr, grh); FIELD(ibv_ah_attr, dlid); FIELD(ibv_ah_attr, sl); FIELD(ibv_ah_attr, is_global); FIELD(ibv_ah_attr, port_num);
    SIZE(ibv_qp_attr);
    FIELD(ibv_qp_attr, qp_state); FIELD(ibv_qp_attr, path_mtu); FIELD(ibv_qp_attr, rq_psn); FIELD(ibv_qp_attr, sq_psn);
    FIELD(ibv_qp_attr, dest_qp_num); FIELD(ibv_qp_attr, qp_access_flags); FIELD(ibv_qp_attr, cap); FIELD(ibv_qp_attr, ah_attr);
    FIELD(ibv_qp_attr, alt_ah_attr); FIELD(ibv_qp_attr, pkey_index); FIELD(ibv_qp_attr, max_rd_atomic); FIELD(ibv_qp_attr, max_dest_rd_atomic);
    FIELD(ibv_qp_attr, min_rnr_timer); FIELD(ibv_qp_attr, port_num); FIELD(ibv_qp_attr, timeout); FIELD(ibv_qp_attr, retry_cnt);
    FIELD(ibv_qp_attr, rnr_retry); FIELD(ibv_qp_attr, rate_limit);
}

static void work(void) {
    SIZE(ibv_sge);
    FIELD(ibv_sge, addr); FIELD(ibv_sge, length); FIELD(ibv_sge, lkey);
    SIZE(ibv_mw_bind_info);
    FIELD(ibv_mw_bind_info, mr); FIELD(ibv_mw_bind_info, addr); FIELD(ibv_mw_bind_info, length); FIELD(ibv_mw_bind_info, mw_access_flags);
    SIZE(ibv_mw_bind);
    FIELD(ibv_mw_bind, wr_id); FIELD(ibv_mw_bind, send_flags); FIELD(ibv_mw_bind, bind_info);
    SIZE(ibv_send_wr);
    FIELD(ibv_send_wr, wr_id); FIELD(ibv_send_wr, next); FIELD(ibv_send_wr, sg_list); FIELD(ibv_send_wr, num_sge); FIELD(ibv_send_wr, opcode);
    FIELD(ibv_send_wr, send_flags); FIELD(ibv_send_wr, wr.rdma.remote_addr); FIELD(ibv_send_wr, wr.rdma.rkey);
    SIZE(ibv_wc);
    FIELD(ibv_wc, wr_id); FIELD(ibv_wc, status); FIELD(ibv_wc, vendor_err); FIELD(ibv_wc, byte_len); FIELD(ibv_wc, qp_num);
}

static void constants(void) {
    VALUE(IBV_TRANSPORT_IB);
    VALUE(IBV_DEVICE_MEM_WINDOW); VALUE(IBV_DEVICE_MEM_WINDOW_TYPE_2A); VALUE(IBV_DEVICE_MEM_WINDOW_TYPE_2B);
    VALUE(IBV_ACCESS_LOCAL_WRITE); VALUE(IBV_ACCESS_REMOTE_READ); VALUE(IBV_ACCESS_MW_BIND); VALUE(IBV_ACCESS_RELAXED_ORDERING);
    VALUE(IBV_ACCESS_OPTIONAL_RANGE);
    VALUE(IBV_MW_TYPE_1);
    VALUE(IBV_QPT_RC);
    VALUE(IBV_WR_RDMA_READ);
    VALUE(IBV_SEND_SIGNALED);
    VALUE(IBV_QP_STATE); VALUE(IBV_QP_ACCESS_FLAGS); VALUE(IBV_QP_PKEY_INDEX); VALUE(IBV_QP_PORT); VALUE(IBV_QP_AV); VALUE(IBV_QP_PATH_MTU);
    VALUE(IBV_QP_TIMEOUT); VALUE(IBV_QP_RETRY_CNT); VALUE(IBV_QP_RNR_RETRY); VALUE(IBV_QP_RQ_PSN); VALUE(IBV_QP_MAX_QP_RD_ATOMIC);
    VALUE(IBV_QP_MIN_RNR_TIMER); VALUE(IBV_QP_SQ_PSN); VALUE(IBV_QP_MAX_DEST_RD_ATOMIC); VALUE(IBV_QP_DEST_QPN);
    VALUE(IBV_QPS_RESET); VALUE(IBV_QPS_INIT); VALUE(IBV_QPS_RTR); VALUE(IBV_QPS_RTS); VALUE(IBV_QPS_SQD); VALUE(IBV_QPS_SQE); VALUE(IBV_QPS_ERR);
    VALUE(IBV_PORT_NOP); VALUE(IBV_PORT_DOWN); VALUE(IBV_PORT_INIT); VALUE(IBV_PORT_ARMED); VALUE(IBV_PORT_ACTIVE); VALUE(IBV_PORT_ACTIVE_DEFER);
    VALUE(IBV_LINK_LAYER_UNSPECIFIED); VALUE(IBV_LINK_LAYER_INFINIBAND); VALUE(IBV_LINK_LAYER_ETHERNET);
    VALUE(IBV_MTU_256); VALUE(IBV_MTU_512); VALUE(IBV_MTU_1024); VALUE(IBV_MTU_2048); VALUE(IBV_MTU_4096);
    VALUE(IBV_GID_TYPE_IB); VALUE(IBV_GID_TYPE_ROCE_V1); VALUE(IBV_GID_TYPE_ROCE_V2);

    VALUE(IBV_WC_SUCCESS); VALUE(IBV_WC_LOC_LEN_ERR); VALUE(IBV_WC_LOC_QP_OP_ERR); VALUE(IBV_WC_LOC_PROT_ERR); VALUE(IBV_WC_WR_FLUSH_ERR);
    VALUE(IBV_WC_MW_BIND_ERR); VALUE(IBV_WC_BAD_RESP_ERR); VALUE(IBV_WC_LOC_ACCESS_ERR); VALUE(IBV_WC_REM_INV_REQ_ERR); VALUE(IBV_WC_REM_ACCESS_ERR);
    VALUE(IBV_WC_REM_OP_ERR); VALUE(IBV_WC_RETRY_EXC_ERR); VALUE(IBV_WC_RNR_RETRY_EXC_ERR); VALUE(IBV_WC_REM_ABORT_ERR); VALUE(IBV_WC_FATAL_ERR);
    VALUE(IBV_WC_RESP_TIMEOUT_ERR); VALUE(IBV_WC_GENERAL_ERR);

    VALUE(IBV_EVENT_CQ_ERR); VALUE(IBV_EVENT_QP_FATAL); VALUE(IBV_EVENT_QP_REQ_ERR); VALUE(IBV_EVENT_QP_ACCESS_ERR); VALUE(IBV_EVENT_COMM_EST);
    VALUE(IBV_EVENT_SQ_DRAINED); VALUE(IBV_EVENT_PATH_MIG); VALUE(IBV_EVENT_PATH_MIG_ERR); VALUE(IBV_EVENT_DEVICE_FATAL); VALUE(IBV_EVENT_PORT_ACTIVE);
    VALUE(IBV_EVENT_PORT_ERR); VALUE(IBV_EVENT_LID_CHANGE); VALUE(IBV_EVENT_PKEY_CHANGE); VALUE(IBV_EVENT_SM_CHANGE); VALUE(IBV_EVENT_SRQ_ERR);
    VALUE(IBV_EVENT_SRQ_LIMIT_REACHED); VALUE(IBV_EVENT_QP_LAST_WQE_REACHED); VALUE(IBV_EVENT_CLIENT_REREGISTER); VALUE(IBV_EVENT_GID_CHANGE);
    VALUE(IBV_EVENT_WQ_FATAL);
}

int main(void) {
    devices();
    objects();
    queue_pairs();
    work();
    constants();
    return 0;
}
