namespace P2PWeights.Client.Updating.Devices;

/// <summary>A collective operation of several devices: all take part, and one that does not come holds up all.</summary>
internal interface ICollective : IDisposable
{
    /// <summary>Every device has its part of a range of the slots, and gets the others. May wait for the devices.</summary>
    /// <param name="offset">From the start of the slots.</param>
    /// <param name="partBytes">Bytes of each device's part; the parts lie one after another, in the order of the devices.</param>
    /// <returns>One task per device: completes when it has done its part, fails with <see cref="Native.NativeException"/> when it could not.</returns>
    /// <exception cref="Native.NativeException">It failed, and the collective is of no more use.</exception>
    IReadOnlyList<Task> Gather(long offset, long partBytes);

    /// <summary>Ends every operation that has not come to its end, whose tasks fail then, and refuses further ones. From any thread; may wait for a device that has stopped.</summary>
    void Abort();
}
