using System.Runtime.InteropServices;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>What a device can do (<c>struct ibv_device_attr</c>).</summary>
public sealed record DeviceAttributes
{
    public required string Firmware { get; init; }

    /// <summary>Ports, numbered from 1.</summary>
    public required int Ports { get; init; }

    /// <summary>Bytes of the largest memory region; <see cref="RegionSplit"/> cuts what is larger.</summary>
    public required ulong MaxRegionBytes { get; init; }

    /// <summary>Regions that may exist at a time.</summary>
    public required int MaxRegions { get; init; }

    /// <summary>Work requests that a queue of a queue pair may hold.</summary>
    public required int MaxQueueDepth { get; init; }

    /// <summary>Completions that a completion queue may hold.</summary>
    public required int MaxCompletions { get; init; }

    /// <summary>READs that a queue pair may have on the wire as their caller (<c>max_qp_init_rd_atom</c>); more wait inside the device.</summary>
    public required int MaxReadsOut { get; init; }

    /// <summary>READs of the peer that a queue pair answers at a time (<c>max_qp_rd_atom</c>). The caller's limit must not exceed it, or its queue pair fails.</summary>
    public required int MaxReadsIn { get; init; }

    /// <summary>Memory windows that may exist at a time; 0 for a device without any.</summary>
    public required int MaxWindows { get; init; }

    /// <summary>Windows that the whole protection domain can be reached through.</summary>
    public required bool HasWindowsType1 { get; init; }

    /// <summary>Windows that belong to the queue pair that bound them.</summary>
    public required bool HasWindowsType2 { get; init; }

    internal static unsafe DeviceAttributes From(in ibv_device_attr attributes)
    {
        fixed (byte* firmware = attributes.fw_ver)
        {
            var flags = attributes.device_cap_flags;
            return new()
            {
                Firmware = Marshal.PtrToStringUTF8((nint)firmware, 64).TrimEnd('\0'),
                Ports = attributes.phys_port_cnt,
                MaxRegionBytes = attributes.max_mr_size,
                MaxRegions = attributes.max_mr,
                MaxQueueDepth = attributes.max_qp_wr,
                MaxCompletions = attributes.max_cqe,
                MaxReadsOut = attributes.max_qp_init_rd_atom,
                MaxReadsIn = attributes.max_qp_rd_atom,
                MaxWindows = attributes.max_mw,
                HasWindowsType1 = (flags & Ibv.IBV_DEVICE_MEM_WINDOW) != 0,
                HasWindowsType2 = (flags & (Ibv.IBV_DEVICE_MEM_WINDOW_TYPE_2A | Ibv.IBV_DEVICE_MEM_WINDOW_TYPE_2B)) != 0,
            };
        }
    }
}
