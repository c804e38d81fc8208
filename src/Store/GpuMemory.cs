using System.Globalization;

namespace P2PWeights.Store;

/// <summary>Memory of one GPU that the gpu tier may use.</summary>
/// <param name="Device">
/// The GPU's number as CUDA counts in this process, <c>0</c>; or <c>host-0</c>, <c>host-1</c> and so on for memory of the host in a GPU's place: what tests use, and whoever tries
/// things without a GPU.
/// </param>
/// <param name="Bytes">Bytes, rounded down to 16 MiB; at least that much.</param>
public sealed record GpuMemory(string Device, long Bytes)
{
    private const string HostPrefix = "host-";

    /// <summary>More than any machine has; bounds what is read of a stranger.</summary>
    public const int MaxGpus = 64;

    /// <summary>The GPU's number, or null for memory of the host.</summary>
    public int? Ordinal => TryParse(Device, out var number) ? number : null;

    /// <summary>Whether a text names a device.</summary>
    public static bool IsDevice(string text) => TryParse(text, out _) || (text.StartsWith(HostPrefix, StringComparison.Ordinal) && TryParse(text.AsSpan(HostPrefix.Length), out _));

    private static bool TryParse(ReadOnlySpan<char> text, out int number) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number < MaxGpus && (text.Length == 1 || text[0] != '0');
}
