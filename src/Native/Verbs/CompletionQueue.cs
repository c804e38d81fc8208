using P2PWeights.Native.Posix;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>
/// Where queue pairs report what they have done, with a channel of its own (<c>struct ibv_comp_channel</c>) to sleep on until there is something. The order that
/// misses nothing: <see cref="Poll"/> until empty, <see cref="Arm"/>, <see cref="Poll"/> once more, and only when that is empty too <see cref="WaitForEvent"/>.
/// </summary>
/// <remarks>Poll and Arm may be called from any thread, WaitForEvent from one at a time. A queue that overflows fails, and its queue pairs with it: make it large
/// enough for every signalled request, and every flushed one, that can be out.</remarks>
public sealed unsafe class CompletionQueue : VerbsHandle
{
    private readonly CompletionChannel _channel;

    private CompletionQueue(VerbsDevice device, CompletionChannel channel)
        : base(channel) => (Device, _channel) = (device, channel);

    public VerbsDevice Device { get; }

    /// <summary>Completions that it holds: at least as many as were asked for.</summary>
    public int Entries
    {
        get
        {
            using var self = Use();
            return ((ibv_cq*)self.Pointer)->cqe;
        }
    }

    /// <param name="entries">Completions to hold, at most <see cref="DeviceAttributes.MaxCompletions"/>.</param>
    /// <param name="vector">Which interrupt of the device announces them, 0 to <see cref="VerbsDevice.CompletionVectors"/> - 1.</param>
    /// <exception cref="NativeException">Too many entries, or the device has no more queues.</exception>
    public static CompletionQueue Create(VerbsDevice device, int entries, int vector = 0)
    {
        // The channel is this queue's alone: when the queue is made it holds the channel, and our own hold ends here.
        using var channel = CompletionChannel.Create(device);
        using var parent = device.Use();
        using var hold = channel.Use();
        var queue = new CompletionQueue(device, channel);
        queue.Own(Ibv.ibv_create_cq((ibv_context*)parent.Pointer, entries, 0, hold.Pointer, vector), "ibv_create_cq", device.Name);
        return queue;
    }

    /// <summary>Takes what is complete, oldest first, without waiting.</summary>
    /// <returns>How many; fewer than there is room for when the queue is empty now.</returns>
    /// <exception cref="NativeException">The queue broke, by overflowing for instance.</exception>
    public int Poll(Span<WorkCompletion> into)
    {
        if (into.IsEmpty)
            return 0;
        using var self = Use();
        fixed (WorkCompletion* first = into)
        {
            var count = ((ibv_cq*)self.Pointer)->context->ops.poll_cq(self.Pointer, into.Length, first);
            return count >= 0 ? count : throw Ibv.Error("ibv_poll_cq", Errno.InputOutput, Device.Name);
        }
    }

    /// <summary>Asks for one event at the next completion that is added.</summary>
    /// <exception cref="NativeException">The device is gone.</exception>
    public void Arm()
    {
        using var self = Use();
        var returned = ((ibv_cq*)self.Pointer)->context->ops.req_notify_cq(self.Pointer, 0);
        if (returned != 0)
            throw Ibv.Error("ibv_req_notify_cq", returned, Device.Name);
    }

    /// <summary>Blocks until an event of an armed queue. Call <see cref="Wake"/> before the queue is disposed, which otherwise waits for the end of the time.</summary>
    /// <returns>False when the time was over or somebody called <see cref="Wake"/>.</returns>
    /// <exception cref="NativeException">The channel broke.</exception>
    public bool WaitForEvent(TimeSpan timeout)
    {
        using var self = Use();
        if (!_channel.WaitForEvent(timeout, out var count))
            return false;
        Ibv.ibv_ack_cq_events(self.Pointer, count); // at once: destroying the queue waits for it
        return true;
    }

    /// <summary>Ends the wait that is going on, or the next one at once. From any thread.</summary>
    public void Wake() => _channel.Wake();

    private protected override int Release(nint native, out string function)
    {
        function = "ibv_destroy_cq";
        return Ibv.ibv_destroy_cq(native);
    }
}
