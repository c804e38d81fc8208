using System.Text.Json.Serialization;

namespace P2PWeights.Bench.Measuring;

/// <summary>What one run gave.</summary>
/// <param name="Rate">In the unit of its figure.</param>
/// <param name="Cpu">What it cost; null where it was not measured.</param>
internal readonly record struct Sample(double Rate, CpuCost? Cpu = null)
{
    /// <summary>A transfer of so many bytes, in GB/s.</summary>
    /// <param name="sending">CPU seconds of the process that gives the bytes.</param>
    /// <param name="receiving">CPU seconds of the process that takes them.</param>
    public static Sample Of(long bytes, double seconds, double sending, double receiving)
    {
        var gigabytes = bytes / 1e9;
        return new Sample(gigabytes / seconds, new CpuCost(sending / gigabytes, receiving / gigabytes));
    }
}

/// <summary>Processor time of both sides of a transfer, user and system, in seconds per GB (10^9 bytes).</summary>
/// <param name="Sending">Of the process that gives the bytes; 0 when one process does all.</param>
/// <param name="Receiving">Of the process that takes them.</param>
internal sealed record CpuCost([property: JsonPropertyName("sending")] double Sending, [property: JsonPropertyName("receiving")] double Receiving)
{
    public double Total() => Sending + Receiving;
}
