namespace P2PWeights.Store.Gpu;

/// <summary>
/// A device has not ended a copy in time. It may still do it, at any moment: whoever gets this never uses the bytes on both sides again, nor frees them.
/// </summary>
internal sealed class StalledDeviceException(string device, TimeSpan waited)
    : IOException($"{device} has not ended a copy within {waited.TotalSeconds:F0} s and gets no more from this node: look at nvidia-smi and the kernel's log, then start the node again");
