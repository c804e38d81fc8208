using System.Runtime.InteropServices;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>How a work request ended (<c>enum ibv_wc_status</c>); texts: <see cref="WorkCompletion.Text"/>.</summary>
public enum WorkStatus
{
    Success = 0,
    LocalLengthError = 1,
    LocalQueuePairError = 2,

    /// <summary>The local memory is not covered by the local key.</summary>
    LocalProtectionError = 4,

    /// <summary>Never tried: the queue pair had failed before, or was moved to its error state.</summary>
    Flushed = 5,
    WindowBindError = 6,
    BadResponse = 7,
    LocalAccessError = 8,
    RemoteInvalidRequest = 9,

    /// <summary>The peer's device refused the remote key: the window was taken back, the region is gone, or the range is not in it.</summary>
    RemoteAccessError = 10,
    RemoteOperationError = 11,

    /// <summary>The peer did not answer for all retries: it, or the link to it, is gone.</summary>
    RetryExceeded = 12,
    ReceiverNotReadyRetryExceeded = 13,
    RemoteAborted = 16,
    Fatal = 19,
    ResponseTimeout = 20,
    GeneralError = 21,
}

/// <summary>
/// A completed work request, in the layout of <c>struct ibv_wc</c>. When <see cref="Status"/> is not success only <see cref="Id"/>, <see cref="Status"/>,
/// <see cref="VendorError"/> and <see cref="QueuePair"/> mean anything, and the queue pair has failed: everything behind on it is flushed.
/// </summary>
[StructLayout(LayoutKind.Explicit, Size = 48)]
public readonly struct WorkCompletion
{
    [FieldOffset(0)]
    private readonly ulong _id;

    [FieldOffset(8)]
    private readonly int _status;

    [FieldOffset(16)]
    private readonly uint _vendorError;

    [FieldOffset(20)]
    private readonly uint _bytes;

    [FieldOffset(28)]
    private readonly uint _queuePair;

    /// <summary>What the request was given as its id.</summary>
    public ulong Id => _id;

    public WorkStatus Status => (WorkStatus)_status;

    /// <summary>The driver's own code for a failure, for logs.</summary>
    public uint VendorError => _vendorError;

    /// <summary>Bytes that a READ brought.</summary>
    public uint Bytes => _bytes;

    /// <summary>The number of the queue pair that did it.</summary>
    public uint QueuePair => _queuePair;

    public bool IsSuccess => _status == (int)WorkStatus.Success;

    /// <summary>The library's own words for a status.</summary>
    public static unsafe string Text(WorkStatus status) =>
        VerbsLibrary.IsAvailable ? Marshal.PtrToStringUTF8((nint)Ibv.ibv_wc_status_str((int)status)) ?? status.ToString() : status.ToString();
}
