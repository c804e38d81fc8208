namespace P2PWeights.Native.Cuda;

/// <summary>One copy between addresses of devices.</summary>
/// <param name="Length">Bytes.</param>
public readonly record struct DeviceCopy(nint Source, nint Destination, long Length);
