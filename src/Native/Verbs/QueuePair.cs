using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>State of a queue pair (<c>enum ibv_qp_state</c>).</summary>
public enum QueuePairState
{
    Reset = 0,

    /// <summary>Made, not connected.</summary>
    Initialised = 1,
    ReadyToReceive = 2,

    /// <summary>Connected.</summary>
    ReadyToSend = 3,
    Draining = 4,
    SendError = 5,

    /// <summary>Failed, or moved here by <see cref="QueuePair.Fail"/>: what is posted is flushed. There is no way back; make another.</summary>
    Error = 6,
}

/// <summary>
/// A reliable connection (RC) for one-sided reads. Made initialised, connected once with what the peer said of its own, and usable until its first failure.
/// Posting is thread-safe (the driver locks each queue); completions come to the completion queue that it was made with.
/// </summary>
public sealed unsafe class QueuePair : VerbsHandle
{
    /// <summary>Requests handed to the driver in one call; more go in several.</summary>
    private const int ChainLength = 16;

    private QueuePair(ProtectionDomain domain, CompletionQueue completions, QueuePairSettings settings)
        : base(domain, completions) => (Domain, Completions, Settings) = (domain, completions, settings);

    public ProtectionDomain Domain { get; }

    public CompletionQueue Completions { get; }

    public QueuePairSettings Settings { get; }

    /// <summary>The device's number for it, 24 bits, which the peer needs to connect.</summary>
    public uint Number { get; private set; }

    /// <summary>Makes a queue pair in the state <see cref="QueuePairState.Initialised"/>.</summary>
    /// <exception cref="NativeException">The settings are beyond the device, it has no more, or the port is not there.</exception>
    public static QueuePair Create(ProtectionDomain domain, CompletionQueue completions, QueuePairSettings settings)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(settings.Depth);
        using var parent = domain.Use();
        using var queue = completions.Use();
        var pair = new QueuePair(domain, completions, settings);
        var initial = new ibv_qp_init_attr
        {
            send_cq = queue.Pointer,
            recv_cq = queue.Pointer,
            qp_type = Ibv.IBV_QPT_RC,

            // Nothing is ever received, but some drivers refuse a queue of no entries.
            cap = new() { max_send_wr = (uint)settings.Depth, max_send_sge = 1, max_recv_wr = 1, max_recv_sge = 1 },
        };
        pair.Own(Ibv.ibv_create_qp(parent.Pointer, &initial), "ibv_create_qp", domain.Device.Name);
        try
        {
            pair.Number = ((ibv_qp*)pair.handle)->qp_num;
            pair.Modify(
                new()
                {
                    qp_state = (int)QueuePairState.Initialised,
                    port_num = settings.Port,
                    qp_access_flags = settings.RemoteRead ? Ibv.IBV_ACCESS_REMOTE_READ : 0u,
                },
                Ibv.IBV_QP_STATE | Ibv.IBV_QP_PKEY_INDEX | Ibv.IBV_QP_PORT | Ibv.IBV_QP_ACCESS_FLAGS);
            return pair;
        }
        catch (NativeException)
        {
            pair.Dispose();
            throw;
        }
    }

    /// <summary>Connects to the peer's queue pair. No packet is exchanged: a peer that is not there shows at the first request.</summary>
    /// <exception cref="NativeException">A value is beyond the device, the GID index is not in use, or the peer's GID has no route.</exception>
    public void Connect(QueuePairConnection connection)
    {
        var receive = new ibv_qp_attr
        {
            qp_state = (int)QueuePairState.ReadyToReceive,
            path_mtu = (int)connection.Mtu,
            dest_qp_num = connection.RemoteNumber,
            rq_psn = connection.RemoteSequence,
            max_dest_rd_atomic = checked((byte)connection.ReadsIn),
            min_rnr_timer = 12, // 0.64 ms; READs never wait for a receive buffer, the transition asks for a value all the same
            ah_attr = new()
            {
                grh = new()
                {
                    dgid = connection.RemoteGid,
                    sgid_index = checked((byte)connection.GidIndex),
                    hop_limit = checked((byte)connection.HopLimit),
                    traffic_class = checked((byte)connection.TrafficClass),
                },
                is_global = 1, // RoCE needs the global header; InfiniBand takes it, and then routes between subnets too
                dlid = connection.RemoteLid,
                sl = checked((byte)connection.ServiceLevel),
                port_num = Settings.Port,
            },
        };
        Modify(
            receive,
            Ibv.IBV_QP_STATE | Ibv.IBV_QP_AV | Ibv.IBV_QP_PATH_MTU | Ibv.IBV_QP_DEST_QPN | Ibv.IBV_QP_RQ_PSN | Ibv.IBV_QP_MAX_DEST_RD_ATOMIC | Ibv.IBV_QP_MIN_RNR_TIMER);

        var send = new ibv_qp_attr
        {
            qp_state = (int)QueuePairState.ReadyToSend,
            sq_psn = connection.LocalSequence,
            max_rd_atomic = checked((byte)connection.ReadsOut),
            timeout = checked((byte)connection.AckTimeout),
            retry_cnt = checked((byte)connection.Retries),
            rnr_retry = 7, // without end; see min_rnr_timer
        };
        Modify(
            send,
            Ibv.IBV_QP_STATE | Ibv.IBV_QP_SQ_PSN | Ibv.IBV_QP_MAX_QP_RD_ATOMIC | Ibv.IBV_QP_TIMEOUT | Ibv.IBV_QP_RETRY_CNT | Ibv.IBV_QP_RNR_RETRY);
    }

    /// <summary>
    /// Moves it to <see cref="QueuePairState.Error"/>: everything posted completes as <see cref="WorkStatus.Flushed"/> soon, and the peer's requests fail. After
    /// the last completion nothing of its READs is written any more. Fine on one that failed already.
    /// </summary>
    /// <exception cref="NativeException">The device is gone.</exception>
    public void Fail() => Modify(new() { qp_state = (int)QueuePairState.Error }, Ibv.IBV_QP_STATE);

    /// <summary>Posts READs, in order, and rings the device's bell once for every 16 of them.</summary>
    public PostOutcome PostReads(ReadOnlySpan<ReadRequest> reads)
    {
        using var self = Use();
        var requests = stackalloc ibv_send_wr[ChainLength];
        var ranges = stackalloc ibv_sge[ChainLength];
        for (var done = 0; done < reads.Length;)
        {
            var count = Math.Min(ChainLength, reads.Length - done);
            for (var index = 0; index < count; index++)
            {
                ref readonly var read = ref reads[done + index];
                ranges[index] = new() { addr = (ulong)read.LocalAddress, length = read.Bytes, lkey = read.LocalKey };
                requests[index] = new()
                {
                    wr_id = read.Id,
                    next = index + 1 < count ? &requests[index + 1] : null,
                    sg_list = &ranges[index],
                    num_sge = 1,
                    opcode = Ibv.IBV_WR_RDMA_READ,
                    send_flags = Flags(read.Signalled),
                    rdma_remote_addr = read.RemoteAddress,
                    rdma_rkey = read.RemoteKey,
                };
            }

            var error = Post(self.Pointer, requests, out var refused);
            if (error != 0)
                return new(done + (refused is null ? 0 : (int)(refused - requests)), error);
            done += count;
        }

        return new(reads.Length, 0);
    }

    /// <summary>
    /// Posts a bind: gives the window a new <see cref="MemoryWindow.RemoteKey"/>, which peers may read the range with once the bind has completed. Requests behind it on
    /// this queue pair come after it. A range of 0 bytes ends the right.
    /// </summary>
    /// <param name="id">Comes back in <see cref="WorkCompletion.Id"/>.</param>
    /// <param name="region">The region that the range lies in, of the same domain, registered with <see cref="MemoryAccess.WindowBind"/>.</param>
    /// <param name="signalled">See <see cref="ReadRequest"/>.</param>
    public PostOutcome PostBind(ulong id, MemoryWindow window, MemoryRegion region, ulong address, ulong bytes, bool signalled = true)
    {
        using var self = Use();
        using var bound = window.Use();
        using var target = region.Use();
        var bind = new ibv_mw_bind
        {
            wr_id = id,
            send_flags = Flags(signalled),
            bind_info = new() { mr = target.Pointer, addr = address, length = bytes, mw_access_flags = Ibv.IBV_ACCESS_REMOTE_READ },
        };

        // The driver makes the new key itself and writes it into the window.
        var returned = ((ibv_mw*)bound.Pointer)->context->ops.bind_mw(self.Pointer, bound.Pointer, &bind);
        if (returned != 0)
            return new(0, Math.Abs(returned));
        window.Attach(region);
        return new(1, 0);
    }

    private protected override int Release(nint native, out string function)
    {
        function = "ibv_destroy_qp";
        return Ibv.ibv_destroy_qp(native);
    }

    private static uint Flags(bool signalled) => signalled ? Ibv.IBV_SEND_SIGNALED : 0;

    private static int Post(nint pair, ibv_send_wr* first, out ibv_send_wr* refused)
    {
        refused = null;
        fixed (ibv_send_wr** result = &refused)
        {
            // Drivers return an errno, some of them negated.
            return Math.Abs(((ibv_qp*)pair)->context->ops.post_send(pair, first, result));
        }
    }

    private void Modify(ibv_qp_attr attributes, int mask)
    {
        using var self = Use();
        var returned = Ibv.ibv_modify_qp(self.Pointer, &attributes, mask);
        if (returned != 0)
            throw Ibv.Error("ibv_modify_qp", returned, $"{Domain.Device.Name} queue pair {Number} to {(QueuePairState)attributes.qp_state}");
    }
}
