using System.Globalization;
using System.Runtime.InteropServices;
using P2PWeights.Native.Verbs;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Tests.Verbs;

public sealed class VerbsLayoutTests
{
    [VerbsHeaderFact]
    public Task Structs_and_constants_are_those_of_the_verbs_header() => CProbe.AssertStatesAsync("verbs-probe.c", Stated());

    private static Dictionary<string, long> Stated()
    {
        var stated = new Dictionary<string, long>
        {
            ["IBV_SYSFS_NAME_MAX"] = 64,
            ["IBV_TRANSPORT_IB"] = Ibv.IBV_TRANSPORT_IB,
            ["IBV_DEVICE_MEM_WINDOW"] = Ibv.IBV_DEVICE_MEM_WINDOW,
            ["IBV_DEVICE_MEM_WINDOW_TYPE_2A"] = Ibv.IBV_DEVICE_MEM_WINDOW_TYPE_2A,
            ["IBV_DEVICE_MEM_WINDOW_TYPE_2B"] = Ibv.IBV_DEVICE_MEM_WINDOW_TYPE_2B,
            ["IBV_ACCESS_LOCAL_WRITE"] = (long)MemoryAccess.LocalWrite,
            ["IBV_ACCESS_REMOTE_READ"] = (long)MemoryAccess.RemoteRead,
            ["IBV_ACCESS_MW_BIND"] = (long)MemoryAccess.WindowBind,
            ["IBV_ACCESS_RELAXED_ORDERING"] = (long)MemoryAccess.RelaxedOrdering,
            ["IBV_ACCESS_OPTIONAL_RANGE"] = Ibv.IBV_ACCESS_OPTIONAL_RANGE,
            ["IBV_MW_TYPE_1"] = Ibv.IBV_MW_TYPE_1,
            ["IBV_QPT_RC"] = Ibv.IBV_QPT_RC,
            ["IBV_WR_RDMA_READ"] = Ibv.IBV_WR_RDMA_READ,
            ["IBV_SEND_SIGNALED"] = Ibv.IBV_SEND_SIGNALED,
            ["IBV_QP_STATE"] = Ibv.IBV_QP_STATE,
            ["IBV_QP_ACCESS_FLAGS"] = Ibv.IBV_QP_ACCESS_FLAGS,
            ["IBV_QP_PKEY_INDEX"] = Ibv.IBV_QP_PKEY_INDEX,
            ["IBV_QP_PORT"] = Ibv.IBV_QP_PORT,
            ["IBV_QP_AV"] = Ibv.IBV_QP_AV,
            ["IBV_QP_PATH_MTU"] = Ibv.IBV_QP_PATH_MTU,
            ["IBV_QP_TIMEOUT"] = Ibv.IBV_QP_TIMEOUT,
            ["IBV_QP_RETRY_CNT"] = Ibv.IBV_QP_RETRY_CNT,
            ["IBV_QP_RNR_RETRY"] = Ibv.IBV_QP_RNR_RETRY,
            ["IBV_QP_RQ_PSN"] = Ibv.IBV_QP_RQ_PSN,
            ["IBV_QP_MAX_QP_RD_ATOMIC"] = Ibv.IBV_QP_MAX_QP_RD_ATOMIC,
            ["IBV_QP_MIN_RNR_TIMER"] = Ibv.IBV_QP_MIN_RNR_TIMER,
            ["IBV_QP_SQ_PSN"] = Ibv.IBV_QP_SQ_PSN,
            ["IBV_QP_MAX_DEST_RD_ATOMIC"] = Ibv.IBV_QP_MAX_DEST_RD_ATOMIC,
            ["IBV_QP_DEST_QPN"] = Ibv.IBV_QP_DEST_QPN,
        };
        AddEnums(stated);
        AddDeviceStructs(stated);
        AddObjects(stated);
        AddQueuePairStructs(stated);
        AddWorkStructs(stated);
        return stated;
    }

    private static void AddEnums(Dictionary<string, long> stated)
    {
        Add<QueuePairState>("IBV_QPS", "RESET", "INIT", "RTR", "RTS", "SQD", "SQE", "ERR");
        Add<PortState>("IBV_PORT", "NOP", "DOWN", "INIT", "ARMED", "ACTIVE", "ACTIVE_DEFER");
        Add<LinkLayer>("IBV_LINK_LAYER", "UNSPECIFIED", "INFINIBAND", "ETHERNET");
        Add<PathMtu>("IBV_MTU", "256", "512", "1024", "2048", "4096");
        Add<GidType>("IBV_GID_TYPE", "IB", "ROCE_V1", "ROCE_V2");
        Add<WorkStatus>(
            "IBV_WC", "SUCCESS", "LOC_LEN_ERR", "LOC_QP_OP_ERR", "LOC_PROT_ERR", "WR_FLUSH_ERR", "MW_BIND_ERR", "BAD_RESP_ERR", "LOC_ACCESS_ERR", "REM_INV_REQ_ERR",
            "REM_ACCESS_ERR", "REM_OP_ERR", "RETRY_EXC_ERR", "RNR_RETRY_EXC_ERR", "REM_ABORT_ERR", "FATAL_ERR", "RESP_TIMEOUT_ERR", "GENERAL_ERR");
        Add<DeviceEventKind>(
            "IBV_EVENT", "CQ_ERR", "QP_FATAL", "QP_REQ_ERR", "QP_ACCESS_ERR", "COMM_EST", "SQ_DRAINED", "PATH_MIG", "PATH_MIG_ERR", "DEVICE_FATAL", "PORT_ACTIVE",
            "PORT_ERR", "LID_CHANGE", "PKEY_CHANGE", "SM_CHANGE", "SRQ_ERR", "SRQ_LIMIT_REACHED", "QP_LAST_WQE_REACHED", "CLIENT_REREGISTER", "GID_CHANGE", "WQ_FATAL");

        // Our names in the order of their values against the header's in the order of theirs.
        void Add<T>(string prefix, params string[] names)
            where T : struct, Enum
        {
            var values = Enum.GetValues<T>().Select(value => Convert.ToInt64(value, CultureInfo.InvariantCulture)).Order().ToList();
            Assert.Equal(names.Length, values.Count);
            foreach (var (name, value) in names.Zip(values))
                stated.Add($"{prefix}_{name}", value);
        }
    }

    private static void AddDeviceStructs(Dictionary<string, long> stated)
    {
        Add<ibv_device>(stated, nameof(ibv_device.transport_type), nameof(ibv_device.name), nameof(ibv_device.dev_name));
        Add<ibv_context_ops>(
            stated, nameof(ibv_context_ops.alloc_mw), nameof(ibv_context_ops.bind_mw), nameof(ibv_context_ops.dealloc_mw), nameof(ibv_context_ops.poll_cq),
            nameof(ibv_context_ops.req_notify_cq), nameof(ibv_context_ops.post_send));
        Add<ibv_context>(
            stated, nameof(ibv_context.device), nameof(ibv_context.ops), nameof(ibv_context.async_fd), nameof(ibv_context.num_comp_vectors));
        Add<ibv_device_attr>(
            stated, nameof(ibv_device_attr.fw_ver), nameof(ibv_device_attr.max_mr_size), nameof(ibv_device_attr.max_qp_wr), nameof(ibv_device_attr.device_cap_flags),
            nameof(ibv_device_attr.max_cqe), nameof(ibv_device_attr.max_mr), nameof(ibv_device_attr.max_qp_rd_atom), nameof(ibv_device_attr.max_qp_init_rd_atom),
            nameof(ibv_device_attr.max_mw), nameof(ibv_device_attr.max_pkeys), nameof(ibv_device_attr.phys_port_cnt));
        Add<ibv_port_attr>(
            stated, nameof(ibv_port_attr.state), nameof(ibv_port_attr.active_mtu), nameof(ibv_port_attr.max_msg_sz), nameof(ibv_port_attr.lid),
            nameof(ibv_port_attr.link_layer), nameof(ibv_port_attr.port_cap_flags2));
        Add<ibv_gid_entry>(
            stated, nameof(ibv_gid_entry.gid), nameof(ibv_gid_entry.gid_index), nameof(ibv_gid_entry.port_num), nameof(ibv_gid_entry.gid_type),
            nameof(ibv_gid_entry.ndev_ifindex));
        stated["ibv_gid"] = Marshal.SizeOf<Gid>();
        stated["ibv_async_event"] = Marshal.SizeOf<ibv_async_event>();
        stated["ibv_async_event.element.qp"] = Marshal.OffsetOf<ibv_async_event>(nameof(ibv_async_event.qp));
        stated["ibv_async_event.element.port_num"] = Marshal.OffsetOf<ibv_async_event>(nameof(ibv_async_event.port_num));
        stated["ibv_async_event.event_type"] = Marshal.OffsetOf<ibv_async_event>(nameof(ibv_async_event.event_type));
    }

    private static void AddObjects(Dictionary<string, long> stated)
    {
        AddFields<ibv_mr>(stated, nameof(ibv_mr.context), nameof(ibv_mr.lkey), nameof(ibv_mr.rkey));
        AddFields<ibv_mw>(stated, nameof(ibv_mw.context), nameof(ibv_mw.rkey));
        AddFields<ibv_comp_channel>(stated, nameof(ibv_comp_channel.context), nameof(ibv_comp_channel.fd));
        AddFields<ibv_cq>(stated, nameof(ibv_cq.context), nameof(ibv_cq.cqe));
        AddFields<ibv_qp>(stated, nameof(ibv_qp.context), nameof(ibv_qp.qp_num));
    }

    private static void AddQueuePairStructs(Dictionary<string, long> stated)
    {
        Add<ibv_qp_cap>(
            stated, nameof(ibv_qp_cap.max_send_wr), nameof(ibv_qp_cap.max_recv_wr), nameof(ibv_qp_cap.max_send_sge), nameof(ibv_qp_cap.max_recv_sge));
        Add<ibv_qp_init_attr>(
            stated, nameof(ibv_qp_init_attr.send_cq), nameof(ibv_qp_init_attr.recv_cq), nameof(ibv_qp_init_attr.srq), nameof(ibv_qp_init_attr.cap),
            nameof(ibv_qp_init_attr.qp_type), nameof(ibv_qp_init_attr.sq_sig_all));
        Add<ibv_global_route>(
            stated, nameof(ibv_global_route.dgid), nameof(ibv_global_route.flow_label), nameof(ibv_global_route.sgid_index), nameof(ibv_global_route.hop_limit),
            nameof(ibv_global_route.traffic_class));
        Add<ibv_ah_attr>(
            stated, nameof(ibv_ah_attr.grh), nameof(ibv_ah_attr.dlid), nameof(ibv_ah_attr.sl), nameof(ibv_ah_attr.is_global), nameof(ibv_ah_attr.port_num));
        Add<ibv_qp_attr>(
            stated, nameof(ibv_qp_attr.qp_state), nameof(ibv_qp_attr.path_mtu), nameof(ibv_qp_attr.rq_psn), nameof(ibv_qp_attr.sq_psn),
            nameof(ibv_qp_attr.dest_qp_num), nameof(ibv_qp_attr.qp_access_flags), nameof(ibv_qp_attr.cap), nameof(ibv_qp_attr.ah_attr),
            nameof(ibv_qp_attr.alt_ah_attr), nameof(ibv_qp_attr.pkey_index), nameof(ibv_qp_attr.max_rd_atomic), nameof(ibv_qp_attr.max_dest_rd_atomic),
            nameof(ibv_qp_attr.min_rnr_timer), nameof(ibv_qp_attr.port_num), nameof(ibv_qp_attr.timeout), nameof(ibv_qp_attr.retry_cnt),
            nameof(ibv_qp_attr.rnr_retry), nameof(ibv_qp_attr.rate_limit));
    }

    private static void AddWorkStructs(Dictionary<string, long> stated)
    {
        Add<ibv_sge>(stated, nameof(ibv_sge.addr), nameof(ibv_sge.length), nameof(ibv_sge.lkey));
        Add<ibv_mw_bind_info>(
            stated, nameof(ibv_mw_bind_info.mr), nameof(ibv_mw_bind_info.addr), nameof(ibv_mw_bind_info.length), nameof(ibv_mw_bind_info.mw_access_flags));
        Add<ibv_mw_bind>(stated, nameof(ibv_mw_bind.wr_id), nameof(ibv_mw_bind.send_flags), nameof(ibv_mw_bind.bind_info));
        Add<ibv_send_wr>(
            stated, nameof(ibv_send_wr.wr_id), nameof(ibv_send_wr.next), nameof(ibv_send_wr.sg_list), nameof(ibv_send_wr.num_sge), nameof(ibv_send_wr.opcode),
            nameof(ibv_send_wr.send_flags));

        // Members of unions, which have a path in C.
        (string InC, string Here)[] members =
        [
            ("wr.rdma.remote_addr", nameof(ibv_send_wr.rdma_remote_addr)), ("wr.rdma.rkey", nameof(ibv_send_wr.rdma_rkey)),
        ];
        foreach (var (inC, here) in members)
            stated[$"ibv_send_wr.{inC}"] = Marshal.OffsetOf<ibv_send_wr>(here);

        stated["ibv_wc"] = Marshal.SizeOf<WorkCompletion>();
        (string InC, string Here)[] completion = [("wr_id", "_id"), ("status", "_status"), ("vendor_err", "_vendorError"), ("byte_len", "_bytes"), ("qp_num", "_queuePair")];
        foreach (var (inC, here) in completion)
            stated[$"ibv_wc.{inC}"] = Marshal.OffsetOf<WorkCompletion>(here);
    }

    private static void Add<T>(Dictionary<string, long> stated, params string[] fields)
        where T : struct
    {
        stated[typeof(T).Name] = Marshal.SizeOf<T>();
        AddFields<T>(stated, fields);
    }

    private static void AddFields<T>(Dictionary<string, long> stated, params string[] fields)
        where T : struct
    {
        foreach (var field in fields)
            stated[$"{typeof(T).Name}.{field}"] = Marshal.OffsetOf<T>(field);
    }
}
