namespace P2PWeights.Client.Updating.Devices;

/// <summary>
/// Copies of one device, which run in the order in which they are given, beside those of other streams. Giving a copy returns at once; memory that it reads must stay until
/// a mark after it is reached. Copies may be given from any thread.
/// </summary>
internal interface IDeviceStream : IDisposable
{
    /// <summary>Copies host memory into the slots.</summary>
    /// <param name="host">Where it lies: memory registered with <see cref="IUpdateDevices.Register"/>.</param>
    /// <param name="offset">From the start of the slots.</param>
    /// <exception cref="Native.NativeException">The device failed.</exception>
    void CopyIn(nint host, long offset, long length);

    /// <summary>Copies a range of this device's slots to the same place in another's.</summary>
    /// <exception cref="Native.NativeException">One of the devices failed.</exception>
    void CopyTo(IUpdateDevice target, long offset, long length);

    /// <summary>Completes when everything that was given before is done; fails with <see cref="Native.NativeException"/> when some of it failed.</summary>
    Task MarkAsync();

    /// <summary>Gives the stream up without waiting for what it has to do: its device no longer answers.</summary>
    void Abandon();
}
