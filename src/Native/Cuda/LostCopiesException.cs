namespace P2PWeights.Native.Cuda;

/// <summary>A device failed while a stream was given copies, and takes no mark behind them either: those that were begun may run, and nobody can tell until when. Their memory must stay.</summary>
/// <param name="cause">What failed first.</param>
public sealed class LostCopiesException(NativeException cause) : Exception(cause.Message, cause);
