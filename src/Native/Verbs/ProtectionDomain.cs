using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>What belongs together on a device: a queue pair reaches only the regions and windows of its own domain.</summary>
public sealed unsafe class ProtectionDomain : VerbsHandle
{
    private ProtectionDomain(VerbsDevice device)
        : base(device) => Device = device;

    /// <summary>The device it is on.</summary>
    public VerbsDevice Device { get; }

    /// <exception cref="NativeException">The device has no more.</exception>
    public static ProtectionDomain Create(VerbsDevice device)
    {
        using var parent = device.Use();
        var domain = new ProtectionDomain(device);
        domain.Own(Ibv.ibv_alloc_pd((ibv_context*)parent.Pointer), "ibv_alloc_pd", device.Name);
        return domain;
    }

    private protected override int Release(nint native, out string function)
    {
        function = "ibv_dealloc_pd";
        return Ibv.ibv_dealloc_pd(native);
    }
}
