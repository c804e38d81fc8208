using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl.Imports;

namespace P2PWeights.Native.Nccl;

/// <summary>One device's part in a group. Whoever uses it sees to it that nobody releases it meanwhile: an abort must not wait for an operation that only the abort ends.</summary>
internal sealed unsafe class NcclCommunicator : NativeHandle
{
    private volatile bool _isAborted;

    private NcclCommunicator(CudaDevice device)
        : base(device)
    {
    }

    public nint Pointer => handle;

    /// <summary>Those of a group, one per device, in their order.</summary>
    /// <exception cref="NativeException">NCCL cannot connect the devices.</exception>
    public static NcclCommunicator[] CreateAll(IReadOnlyList<CudaDevice> devices)
    {
        NcclCommunicator[] communicators = [.. devices.Select(device => new NcclCommunicator(device))];
        var made = stackalloc nint[devices.Count];
        int[] ordinals = [.. devices.Select(device => device.Ordinal)];
        int returned;
        fixed (int* wanted = ordinals)
            returned = NcclImports.ncclCommInitAll(made, devices.Count, wanted);
        var failure = returned == NcclImports.Success ? null : NcclImports.Error("ncclCommInitAll", returned);
        for (var rank = 0; rank < communicators.Length; rank++)
            communicators[rank].Take(made[rank], failure);
        return failure is null ? communicators : throw failure;
    }

    /// <summary>Releases it whatever state its operations are in, and ends them; may wait for a device that has stopped.</summary>
    public void Abort()
    {
        _isAborted = true;
        Dispose();
    }

    private protected override NativeException? TryRelease(nint native)
    {
        var (function, returned) = _isAborted ? ("ncclCommAbort", NcclImports.ncclCommAbort(native)) : ("ncclCommDestroy", NcclImports.ncclCommDestroy(native));
        return returned == NcclImports.Success ? null : NcclImports.Error(function, returned);
    }

    private void Take(nint native, NativeException? failure)
    {
        try
        {
            Own(native, failure);
        }
        catch (NativeException)
        {
            // It is that of all.
        }
    }
}
