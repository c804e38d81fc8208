using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>The devices of one kind that this process can reach.</summary>
internal interface IUpdateDevices : IDisposable
{
    /// <summary>Opens a device for one update.</summary>
    /// <exception cref="UpdateException">This machine has no such device.</exception>
    /// <exception cref="Native.NativeException">The device failed.</exception>
    IUpdateDevice Open(EngineDevice device);

    /// <summary>Makes host memory ready to be copied from at full speed, until what is returned is disposed.</summary>
    /// <exception cref="Native.NativeException">It cannot be pinned.</exception>
    IDisposable Register(nint address, long length);

    /// <summary>The way in which the devices given, all opened here and allocated, get each other's slices by a collective operation.</summary>
    /// <exception cref="UpdateException">This kind of device has none.</exception>
    ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices);
}
