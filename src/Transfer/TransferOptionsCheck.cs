using P2PWeights.Transfer.Wire;

namespace P2PWeights.Transfer;

/// <summary>Finds every fault of a <see cref="TransferOptions"/> at once.</summary>
internal static class TransferOptionsCheck
{
    /// <exception cref="ArgumentException">The options have faults; the message lists them.</exception>
    public static void Require(TransferOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var faults = Faults(options).ToList();
        if (faults.Count > 0)
        {
            throw new ArgumentException(string.Join("; ", faults), nameof(options));
        }
    }

    private static IEnumerable<string> Faults(TransferOptions options)
    {
        if (options.Paths.Count == 0 || options.Paths.Except(PathNames.All).Any() || options.Paths.Distinct().Count() < options.Paths.Count)
        {
            yield return $"{nameof(options.Paths)} is '{string.Join(",", options.Paths)}', not one or more of {string.Join(", ", PathNames.All)}, each once";
        }

        if (options.LanesPerPeer is < 1 or > 64)
        {
            yield return $"{nameof(options.LanesPerPeer)} is {options.LanesPerPeer}, not between 1 and 64";
        }

        if (options.UploadSlots < 1)
        {
            yield return $"{nameof(options.UploadSlots)} is {options.UploadSlots}, not at least 1";
        }

        if (options.MaxFileLeases < 1)
        {
            yield return $"{nameof(options.MaxFileLeases)} is {options.MaxFileLeases}, not at least 1";
        }

        if (options.WindowBytes < 1 || options.GpuWindowBytes < 1)
        {
            yield return $"{nameof(options.WindowBytes)} and {nameof(options.GpuWindowBytes)} are {options.WindowBytes} and {options.GpuWindowBytes}, not at least 1";
        }

        if (options.UploadBytesPerSecond < 0 || options.DownloadBytesPerSecond < 0)
        {
            yield return $"{nameof(options.UploadBytesPerSecond)} and {nameof(options.DownloadBytesPerSecond)} are not negative";
        }

        if (options.StallTimeout <= TimeSpan.Zero || options.BanTime <= TimeSpan.Zero || options.NoSourceTimeout <= TimeSpan.Zero)
        {
            yield return $"{nameof(options.StallTimeout)}, {nameof(options.BanTime)} and {nameof(options.NoSourceTimeout)} are longer than nothing";
        }

        if (options.RdmaQueuePairs is < 1 or > WireLimits.MaxQueuesPerDevice)
        {
            yield return $"{nameof(options.RdmaQueuePairs)} is {options.RdmaQueuePairs}, not between 1 and {WireLimits.MaxQueuesPerDevice}";
        }

        if (options.RdmaReadBytes is < 4096 or > 1 << 30)
        {
            yield return $"{nameof(options.RdmaReadBytes)} is {options.RdmaReadBytes}, not between 4 KiB and 1 GiB";
        }

        if (options.RdmaDepth is < 1 or > 1024)
        {
            yield return $"{nameof(options.RdmaDepth)} is {options.RdmaDepth}, not between 1 and 1024";
        }

        if (options.RdmaTrafficClass is < 0 or > 255 || options.RdmaGidIndex is < 0 or > 255)
        {
            yield return $"{nameof(options.RdmaTrafficClass)} and {nameof(options.RdmaGidIndex)} are between 0 and 255";
        }

        if (options.ClusterKey is "")
        {
            yield return $"{nameof(options.ClusterKey)} is empty: leave it out, or give a long random text";
        }
    }
}
