using System.Globalization;
using P2PWeights.Store.Content;

namespace P2PWeights.Cli.Output;

/// <summary>Numbers as people read them: sizes in binary units, rates in decimal ones (as links and disks are sold), times short.</summary>
internal static class Format
{
    /// <summary><c>512 MiB</c>.</summary>
    public static string Bytes(long bytes) => ByteSize.Format(bytes);

    /// <summary><c>1.23 GB/s</c>, <c>450 MB/s</c>.</summary>
    public static string Rate(double bytesPerSecond) => bytesPerSecond switch
    {
        >= 1e9 => Invariant($"{bytesPerSecond / 1e9:0.00} GB/s"),
        >= 1e6 => Invariant($"{bytesPerSecond / 1e6:0} MB/s"),
        _ => Invariant($"{bytesPerSecond / 1e3:0} kB/s"),
    };

    /// <summary>Bytes over time; 0 when no time passed.</summary>
    public static double PerSecond(long bytes, TimeSpan elapsed) => elapsed > TimeSpan.Zero ? bytes / elapsed.TotalSeconds : 0;

    /// <summary><c>0.8 s</c>, <c>3 min 20 s</c>, <c>5 h 10 min</c>, <c>3 d 4 h</c>.</summary>
    public static string Time(TimeSpan time) => time.TotalSeconds switch
    {
        < 60 => Invariant($"{time.TotalSeconds:0.0} s"),
        < 3600 => $"{(int)time.TotalMinutes} min {time.Seconds} s",
        < 86400 => $"{(int)time.TotalHours} h {time.Minutes} min",
        _ => $"{(int)time.TotalDays} d {time.Hours} h",
    };

    /// <summary><c>35 %</c>; of nothing, everything. <c>100 %</c> is everything, never nearly so.</summary>
    public static string Share(long part, long whole) => part >= whole ? "100 %" : Invariant($"{Math.Min(99, 100.0 * part / whole):0} %");

    /// <summary><c>1 file</c>, <c>3 files</c>.</summary>
    public static string Count(long count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";

    /// <summary>Seconds for JSON: milliseconds are precise enough.</summary>
    public static double Seconds(TimeSpan time) => Math.Round(time.TotalSeconds, 3);

    public static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
