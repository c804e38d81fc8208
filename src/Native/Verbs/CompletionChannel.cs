using System.Runtime.InteropServices;
using P2PWeights.Native.Posix;
using P2PWeights.Native.Verbs.Imports;

namespace P2PWeights.Native.Verbs;

/// <summary>The descriptor that a completion queue raises its events on.</summary>
internal sealed unsafe class CompletionChannel : VerbsHandle
{
    private readonly VerbsDevice _device;
    private readonly DescriptorWait _wait = new();

    private CompletionChannel(VerbsDevice device)
        : base(device) => _device = device;

    public static CompletionChannel Create(VerbsDevice device)
    {
        using var parent = device.Use();
        var channel = new CompletionChannel(device);
        channel.Own(Ibv.ibv_create_comp_channel((ibv_context*)parent.Pointer), "ibv_create_comp_channel", device.Name);
        try
        {
            DescriptorWait.MakeNonBlocking(((ibv_comp_channel*)channel.handle)->fd);
            return channel;
        }
        catch (NativeException)
        {
            channel.Dispose();
            throw;
        }
    }

    /// <summary>Waits, and takes one event; the caller acknowledges it.</summary>
    public bool WaitForEvent(TimeSpan timeout, out uint count)
    {
        count = 0;
        using var self = Use();
        if (!_wait.Wait(((ibv_comp_channel*)self.Pointer)->fd, timeout))
            return false;
        nint queue, context;
        if (Ibv.ibv_get_cq_event(self.Pointer, &queue, &context) != 0)
        {
            return Marshal.GetLastPInvokeError() is Errno.WouldBlock or Errno.Interrupted
                ? false
                : throw Ibv.LastError("ibv_get_cq_event", _device.Name);
        }

        count = 1;
        return true;
    }

    public void Wake() => _wait.Wake();

    private protected override int Release(nint native, out string function)
    {
        function = "ibv_destroy_comp_channel";
        _wait.Dispose();
        return Ibv.ibv_destroy_comp_channel(native);
    }
}
