using System.Runtime.InteropServices;
using P2PWeights.Native.Posix;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>
/// A right for peers to read a part of a region, given and taken back by work requests within microseconds, without registering anything. A window is bound by
/// <see cref="QueuePair.PostBind"/>, peers read with <see cref="RemoteKey"/>; it ends by being bound to 0 bytes, or by being disposed, which needs no working queue pair and is sure to have ended it
/// when it returns.
/// </summary>
/// <remarks>
/// Of type 1 (InfiniBand specification 1.2.1, section 10.6.7.2): every queue pair of the domain may reach it, and it may be bound again as it is.
/// Each bind changes the lowest 8 bits of the key, so that a key of an earlier bind fails; after 256 binds of one window a key comes back. A window keeps the region
/// that it was last bound to from being released. Soft-RoCE checks that a window is bound and whose it is, but of the range only that it is inside the region
/// (rxe_resp.c of Linux 6.1): on hardware the window's own bounds hold.
/// </remarks>
public sealed unsafe class MemoryWindow : VerbsHandle
{
    private MemoryRegion? _region;

    private MemoryWindow(ProtectionDomain domain)
        : base(domain) => Domain = domain;

    public ProtectionDomain Domain { get; }

    /// <summary>Names the window in requests of peers, as of the last bind that was posted.</summary>
    public uint RemoteKey
    {
        get
        {
            using var self = Use();
            return ((ibv_mw*)self.Pointer)->rkey;
        }
    }

    /// <exception cref="NativeException">EOPNOTSUPP: the device has no such windows; ENOMEM: no more of them.</exception>
    public static MemoryWindow Create(ProtectionDomain domain)
    {
        using var device = domain.Device.Use();
        using var parent = domain.Use();
        var window = new MemoryWindow(domain);
        var allocate = ((ibv_context*)device.Pointer)->ops.alloc_mw;
        Marshal.SetLastSystemError(0);
        var native = allocate is null ? null : allocate(parent.Pointer, Ibv.IBV_MW_TYPE_1);
        var code = allocate is null ? Errno.NotSupported : Marshal.GetLastSystemError();
        window.Own((nint)native, native is not null ? null : Ibv.Error("ibv_alloc_mw", code, domain.Device.Name));
        return window;
    }

    /// <summary>Holds the region of a bind that was posted, in place of the one before.</summary>
    internal void Attach(MemoryRegion region)
    {
        if (_region == region)
            return;
        var added = false;
        region.DangerousAddRef(ref added);
        Interlocked.Exchange(ref _region, region)?.DangerousRelease();
    }

    private protected override int Release(nint native, out string function)
    {
        function = "ibv_dealloc_mw";
        var returned = ((ibv_mw*)native)->context->ops.dealloc_mw(native);
        if (returned == 0)
            Interlocked.Exchange(ref _region, null)?.DangerousRelease();
        return returned;
    }
}
