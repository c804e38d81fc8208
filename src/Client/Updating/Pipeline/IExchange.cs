namespace P2PWeights.Client.Updating.Pipeline;

/// <summary>The way in which devices get the slices of a bucket that others brought.</summary>
internal interface IExchange : IDisposable
{
    /// <summary>Completes when a device, which has its own slice, has the others too.</summary>
    /// <exception cref="DeviceFailedException">The device failed, and has been taken out of the update.</exception>
    /// <exception cref="UpdateException">The update cannot go on.</exception>
    Task ExchangeAsync(BucketFlight flight, DeviceLane lane, CancellationToken cancellationToken);
}
