using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Updating.Devices;

/// <summary>
/// A GPU during an update, or what stands for one in the host's memory: slots, and streams that copy into them. Disposed after its streams, and after every engine has
/// let go of the slots.
/// </summary>
internal interface IUpdateDevice : IDisposable
{
    /// <summary>As in <see cref="EngineDevice.Id"/>.</summary>
    string Name { get; }

    /// <summary>Bytes that slots could take.</summary>
    /// <exception cref="Native.NativeException">The device failed.</exception>
    long FreeBytes { get; }

    /// <summary>Makes the one allocation that holds all slots. Once.</summary>
    /// <exception cref="Native.NativeException">There is no room.</exception>
    SlotMemory Allocate(long bytes);

    /// <summary>Opens a stream; the caller disposes it.</summary>
    /// <exception cref="Native.NativeException">The device failed.</exception>
    IDeviceStream OpenStream();

    /// <summary>Gives the slots up: the device no longer answers, and freeing what is its own would wait for it.</summary>
    /// <returns>Bytes of them that are not freed before the process ends.</returns>
    long Abandon();
}
