namespace P2PWeights.Cli.Output;

/// <summary>How far some work is, ready to be shown.</summary>
/// <param name="Title">What is being done.</param>
/// <param name="Done">Bytes done (verified, when there is something to verify).</param>
/// <param name="Total">Bytes in all; 0 while nobody knows, or when there are none to be counted.</param>
/// <param name="Details">More, short: sources, paths.</param>
internal sealed record ProgressFrame(string Title, long Done, long Total, IReadOnlyList<string> Details)
{
    private const int BarWidth = 24;

    public double Fraction => Total > 0 ? Math.Clamp((double)Done / Total, 0, 1) : 0;

    /// <summary>A bar of fixed width: filled part, then empty part.</summary>
    public (string Filled, string Empty) Bar
    {
        get
        {
            var filled = (int)(Fraction * BarWidth);
            return (new string('━', filled), new string('─', BarWidth - filled));
        }
    }

    /// <summary><c>45 %  230.1 MiB of 512.0 MiB  1.20 GB/s  3 sources  ETA 0.3 s</c>; only the details when there is nothing to count.</summary>
    public string Numbers(RateMeter meter)
    {
        if (Done == 0 && Total == 0)
            return string.Join("  ", Details);
        var done = Total > 0 ? $"{Format.Share(Done, Total)}  {Format.Bytes(Done)} of {Format.Bytes(Total)}" : Format.Bytes(Done);
        List<string> parts = [done, Format.Rate(meter.BytesPerSecond), .. Details];
        if (Total > 0 && meter.Remaining(Total) is { } remaining)
            parts.Add($"ETA {Format.Time(remaining)}");
        return string.Join("  ", parts);
    }
}
