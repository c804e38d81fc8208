namespace P2PWeights.Sim;

/// <summary>
/// One direction of a network card, or a rack's uplink: passes bytes on in the order in which they come, at its rate. Slices of many transfers that come in turn share it evenly,
/// as the lanes of a node share its token bucket.
/// </summary>
internal sealed class Line(double bytesPerSecond)
{
    private double _nanosecondsPerByte = 1e9 / bytesPerSecond;
    private long _freeAt;

    public double BytesPerSecond
    {
        get => 1e9 / _nanosecondsPerByte;
        set => _nanosecondsPerByte = 1e9 / value;
    }

    /// <summary>Bytes passed on.</summary>
    public long Bytes { get; private set; }

    /// <summary>When bytes that come at this time have passed.</summary>
    public long Pass(long at, int bytes)
    {
        _freeAt = Math.Max(at, _freeAt) + (long)(bytes * _nanosecondsPerByte);
        Bytes += bytes;
        return _freeAt;
    }
}
