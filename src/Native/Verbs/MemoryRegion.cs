using System.Runtime.InteropServices;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>What a region may be used for (<c>enum ibv_access_flags</c>). Reading it locally is always allowed.</summary>
[Flags]
public enum MemoryAccess
{
    LocalRead = 0,

    /// <summary>READs of ours may write into it.</summary>
    LocalWrite = 1,

    /// <summary>Peers may read all of it, for as long as it is registered, with the region's own key. Windows do not need it.</summary>
    RemoteRead = 4,

    /// <summary>Memory windows may be bound to parts of it.</summary>
    WindowBind = 16,

    /// <summary>Writes of the device may reach memory out of order until the completion: faster on some processors. Ignored where unknown.</summary>
    RelaxedOrdering = 1 << 20,
}

/// <summary>
/// Memory that a device can reach: pinned and mapped for it, which costs about 0.1 s per GB once and counts against RLIMIT_MEMLOCK. The memory must stay
/// mapped until the region is released; giving its handle as <c>owner</c> makes sure of it.
/// </summary>
public sealed unsafe class MemoryRegion : VerbsHandle
{
    private MemoryRegion(ProtectionDomain domain, nint address, long length, params ReadOnlySpan<SafeHandle> parents)
        : base(parents) => (Domain, Address, Length) = (domain, address, length);

    public ProtectionDomain Domain { get; }

    public nint Address { get; }

    public long Length { get; }

    /// <summary>Names the region in requests posted on this side.</summary>
    public uint LocalKey
    {
        get
        {
            using var self = Use();
            return ((ibv_mr*)self.Pointer)->lkey;
        }
    }

    /// <summary>Names the region in requests of peers; worth something with <see cref="MemoryAccess.RemoteRead"/> only.</summary>
    public uint RemoteKey
    {
        get
        {
            using var self = Use();
            return ((ibv_mr*)self.Pointer)->rkey;
        }
    }

    /// <summary>Registers memory.</summary>
    /// <param name="address">Where it starts; any alignment.</param>
    /// <param name="length">Bytes, at most <see cref="DeviceAttributes.MaxRegionBytes"/>: <see cref="RegionSplit"/>.</param>
    /// <param name="owner">What keeps the memory mapped, a <see cref="Posix.MemoryMapping"/> for instance; null when the caller sees to it.</param>
    /// <exception cref="NativeException">ENOMEM: RLIMIT_MEMLOCK (<c>ulimit -l</c>) or the device's own limits are too small; EFAULT: not mapped; others of the device.</exception>
    public static MemoryRegion Register(ProtectionDomain domain, nint address, long length, MemoryAccess access, SafeHandle? owner = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(length);
        using var parent = domain.Use();
        var region = owner is null ? new MemoryRegion(domain, address, length, domain) : new MemoryRegion(domain, address, length, domain, owner);
        var flags = (int)access;

        // Optional flags go through the newer function only, which leaves out those that the kernel does not know (ibv_reg_mr(3)).
        var native = (flags & Ibv.IBV_ACCESS_OPTIONAL_RANGE) == 0
            ? Ibv.ibv_reg_mr(parent.Pointer, address, (nuint)length, flags)
            : Ibv.ibv_reg_mr_iova2(parent.Pointer, address, (nuint)length, (ulong)address, (uint)flags);
        region.Own(native, "ibv_reg_mr", domain.Device.Name);
        return region;
    }

    private protected override int Release(nint native, out string function)
    {
        function = "ibv_dereg_mr";
        return Ibv.ibv_dereg_mr(native);
    }
}
