using P2PWeights.Native.Cuda;

namespace P2PWeights.Store.Gpu;

/// <summary>
/// A device has not ended a copy in time. It may still do it, at any moment: whoever gets this never uses the bytes on both sides again, nor frees them.
/// </summary>
internal sealed class StalledDeviceException : IOException
{
    private const string Advice = "and gets no more from this node: look at nvidia-smi and the kernel's log, then start the node again";

    public StalledDeviceException(string device, TimeSpan waited)
        : base($"{device} has not ended a copy within {waited.TotalSeconds:F0} s {Advice}")
    {
    }

    /// <param name="cause">Why nobody can tell when its copies end.</param>
    public StalledDeviceException(string device, LostCopiesException cause)
        : base($"{device} has failed with copies under way ({cause.Message}) {Advice}", cause)
    {
    }
}
