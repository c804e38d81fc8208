using P2PWeights.Native.Cuda;
using P2PWeights.Native.Nccl.Imports;

namespace P2PWeights.Native.Nccl;

/// <summary>
/// The communicators of all GPUs of one process: one per device, in the order given. Operations are collective: they run when every device's stream has come to them, and
/// one device that does not come stops all, until <see cref="Abort"/>. Thread-safe; operations are queued one after the other.
/// </summary>
public sealed unsafe class NcclGroup : IDisposable
{
    /// <summary>For an operation to be queued while the group is aborted: it takes microseconds, or its device holds it up and only the abort ends it.</summary>
    private static readonly TimeSpan QueueTime = TimeSpan.FromSeconds(1);

    private readonly NcclCommunicator[] _communicators;
    private readonly IReadOnlyList<CudaDevice> _devices;
    private readonly Lock _queueing = new();
    private readonly Lock _gate = new();
    private bool _ended;

    private NcclGroup(IReadOnlyList<CudaDevice> devices, NcclCommunicator[] communicators) => (_devices, _communicators) = (devices, communicators);

    /// <summary>Makes the communicators: takes about a second, and some hundred MB on each device.</summary>
    /// <param name="devices">Stay owned by the caller, and outlive the group.</param>
    /// <exception cref="NativeException">NCCL cannot connect the devices.</exception>
    public static NcclGroup Create(IReadOnlyList<CudaDevice> devices)
    {
        ArgumentOutOfRangeException.ThrowIfZero(devices.Count);
        return new NcclGroup(devices, NcclCommunicator.CreateAll(devices));
    }

    /// <summary>
    /// Every device has its own part of a buffer; afterwards each has all parts, in the order of the devices. Queued on the streams; returns before it is done.
    /// </summary>
    /// <param name="buffers">Per device, where its buffer starts: as many parts as there are devices. The device's own part is read in place.</param>
    /// <param name="partBytes">Bytes of a part, the same on all devices.</param>
    /// <param name="streams">Per device, one of its own streams.</param>
    /// <exception cref="NativeException">NCCL failed; the group can only be aborted now.</exception>
    public void AllGather(ReadOnlySpan<nint> buffers, long partBytes, ReadOnlySpan<CudaStream> streams)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(buffers.Length, _communicators.Length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(streams.Length, _communicators.Length);
        lock (_queueing)
        {
            if (Ended() is { } over)
                throw over;
            NcclImports.Check(NcclImports.ncclGroupStart(), "ncclGroupStart");
            var failure = NcclImports.Success;
            for (var rank = 0; rank < _communicators.Length && failure == NcclImports.Success; rank++)
            {
                using var stream = streams[rank].Use();
                using var current = _devices[rank].MakeCurrent();
                var own = buffers[rank] + (nint)(rank * partBytes);
                failure = NcclImports.ncclAllGather(own, buffers[rank], (nuint)partBytes, NcclImports.Uint8, _communicators[rank].Pointer, stream.Pointer);
            }

            // Ended in any case: a group left open would swallow what the thread calls next.
            var ended = NcclImports.ncclGroupEnd();
            NcclImports.Check(failure, "ncclAllGather");
            NcclImports.Check(ended, "ncclGroupEnd");
        }
    }

    /// <summary>What went wrong since, on any device, an abort included; null when nothing did.</summary>
    public NativeException? Failure()
    {
        // Held while the communicators are looked at: an abort frees them.
        lock (_gate)
        {
            if (Ended() is { } over)
                return over;
            foreach (var communicator in _communicators)
            {
                int result;
                var returned = NcclImports.ncclCommGetAsyncError(communicator.Pointer, &result);
                if (returned != NcclImports.Success)
                    return NcclImports.Error("ncclCommGetAsyncError", returned);
                if (result is not NcclImports.Success and not NcclImports.InProgress)
                    return NcclImports.Error("an operation on the device", result);
            }

            return null;
        }
    }

    /// <summary>Ends the group, operations under way included, whatever state they are in. From any thread; may wait for a device that has stopped, but holds up no other call here meanwhile.</summary>
    public void Abort()
    {
        if (!TryEnd())
            return;
        if (_queueing.TryEnter(QueueTime))
            _queueing.Exit();
        foreach (var communicator in _communicators)
            communicator.Abort();
    }

    /// <summary>Releases the communicators; the streams have done everything that was queued.</summary>
    public void Dispose()
    {
        if (!TryEnd())
            return;
        foreach (var communicator in _communicators)
            communicator.Dispose();
    }

    /// <summary>From here on nobody looks at the communicators but whoever got true.</summary>
    private bool TryEnd()
    {
        lock (_gate)
        {
            return !_ended && (_ended = true);
        }
    }

    private NativeException? Ended()
    {
        lock (_gate)
        {
            return _ended ? new NativeException("NCCL", "an operation of the group", NcclImports.InvalidUsage, "the group was aborted, or disposed") : null;
        }
    }
}
