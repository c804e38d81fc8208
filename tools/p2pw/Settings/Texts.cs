using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Microsoft.Extensions.Logging;
using P2PWeights.Client;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker.Discovery;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Settings;

/// <summary>The kinds of text that settings and options hold. Every reader throws <see cref="FormatException"/> with a message for people.</summary>
internal static class Texts
{
    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");
    private static readonly TimeSpan LongestDuration = TimeSpan.FromDays(365);

    private const string GpuPrefix = "gpu:";

    /// <summary>Above any GPU of today.</summary>
    private const long MaxGpuBytes = 1L << 40;

    private static readonly Dictionary<string, TimeSpan> DurationUnits = new(StringComparer.OrdinalIgnoreCase)
    {
        ["ms"] = TimeSpan.FromMilliseconds(1),
        ["s"] = TimeSpan.FromSeconds(1),
        ["m"] = TimeSpan.FromMinutes(1),
        ["min"] = TimeSpan.FromMinutes(1),
        ["h"] = TimeSpan.FromHours(1),
    };

    /// <summary>Reads <c>http://host:port[,http://host:port]</c>; <c>http://</c> may be left out.</summary>
    public static IReadOnlyList<Uri> ParseTrackers(string text)
    {
        var parts = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0)
            throw new FormatException("no tracker is named; write it like http://127.0.0.1:7400");
        return [.. parts.Select(part => Uri.TryCreate(part.Contains("://", StringComparison.Ordinal) ? part : $"http://{part}", UriKind.Absolute, out var uri)
            && uri.Scheme == Uri.UriSchemeHttp && uri.Host.Length > 0
                ? uri
                : throw new FormatException($"'{part}' is no tracker address; write it like http://127.0.0.1:7400"))];
    }

    /// <summary>Checks <c>host:port</c>, an IPv6 host in brackets; port 0 lets the system choose.</summary>
    public static string ParseEndpoint(string text)
    {
        var colon = text.LastIndexOf(':');
        if (colon <= 0 || !ushort.TryParse(text[(colon + 1)..], out _) || (text[..colon].Contains(':') && !IPEndPoint.TryParse(text, out _)))
            throw new FormatException($"'{text}' is no address; write it like 127.0.0.1:7400, [::1]:7400 or 0.0.0.0:0");
        return text;
    }

    /// <summary>Reads <c>zone=a,rack=b7</c>.</summary>
    public static ImmutableSortedDictionary<string, string> ParsePairs(string text) =>
        ParsePairs(text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));

    /// <summary>Reads <c>key=value</c> several times, no key twice.</summary>
    public static ImmutableSortedDictionary<string, string> ParsePairs(IEnumerable<string> pairs)
    {
        var result = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
        foreach (var pair in pairs)
        {
            var equals = pair.IndexOf('=');
            if (equals <= 0)
                throw new FormatException($"'{pair}' is no pair; write it like key=value");
            if (!result.TryAdd(pair[..equals], pair[(equals + 1)..]))
                throw new FormatException($"'{pair[..equals]}' stands there twice");
        }

        return result.ToImmutable();
    }

    /// <summary>Reads <c>rdma,tcp</c>: paths, best first, no path twice.</summary>
    public static IReadOnlyList<string> ParsePaths(string text)
    {
        var paths = text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var unknown = paths.Except(PathNames.All).ToList();
        if (paths.Length == 0 || unknown.Count > 0)
            throw new FormatException($"'{(unknown.Count > 0 ? unknown[0] : text)}' is no path; write some of {string.Join(',', PathNames.All)}, best first");
        return paths.Distinct().Count() == paths.Length ? paths : throw new FormatException($"'{text}' names a path twice");
    }

    /// <summary>Reads the size of the largest shard.</summary>
    public static int ParseShardSize(string text) => ByteSize.Parse(text) is var size and >= 64 << 10 and <= Manifest.DefaultMaxShardBytes
        ? (int)size
        : throw new FormatException($"'{text}' is not between 64KiB and 16MiB");

    /// <summary>Reads <c>512MiB</c>, <c>1.5 GB</c>, <c>1048576</c>.</summary>
    public static long ParseBytes(string text) => ByteSize.Parse(text);

    /// <summary>Reads <c>0=8GiB,1=8GiB</c>: memory of GPUs, no GPU twice, each 16 MiB or more; <c>host-0</c> stands for memory of the host in a GPU's place.</summary>
    public static IReadOnlyList<GpuMemory> ParseGpuMemory(string text)
    {
        var pairs = ParsePairs(text);
        if (pairs.Count is 0 or > GpuMemory.MaxGpus)
            throw new FormatException($"'{text}' names {pairs.Count} GPUs; write 1 to {GpuMemory.MaxGpus}, like 0=8GiB,1=8GiB");
        return [.. pairs.Select(pair => !GpuMemory.IsDevice(pair.Key)
            ? throw new FormatException($"'{pair.Key}' is no GPU; write its number, as nvidia-smi and p2pw doctor count: 0=8GiB")
            : ByteSize.TryParse(pair.Value, out var bytes) && bytes is >= Manifest.DefaultMaxShardBytes and <= MaxGpuBytes
                ? new GpuMemory(pair.Key, bytes)
                : throw new FormatException($"'{pair.Value}' is no memory for GPU {pair.Key}; write 16MiB to 1TiB, like {pair.Key}=8GiB"))];
    }

    /// <summary>Reads <c>gpu:0</c> as the name of a GPU in <c>--gpu-memory</c>.</summary>
    public static string ParseGpu(string text) => text.StartsWith(GpuPrefix, StringComparison.Ordinal) && GpuMemory.IsDevice(text[GpuPrefix.Length..])
        ? text[GpuPrefix.Length..]
        : throw new FormatException($"'{text}' is no GPU; write it like gpu:0");

    /// <summary>Reads <c>50MiB</c> or <c>50MiB/s</c> as bytes per second; 0 is no limit.</summary>
    public static long ParseRate(
        string text) => ByteSize.TryParse(text.EndsWith("/s", StringComparison.OrdinalIgnoreCase) ? text.AsSpan()[..^2] : text, out var rate)
        ? rate
        : throw new FormatException($"'{text}' is no rate; write it like 50MiB or 1GB (per second), or 0 for no limit");

    /// <summary>Reads <c>500ms</c>, <c>30s</c>, <c>10m</c>, <c>2h</c>, at most a year.</summary>
    public static TimeSpan ParseDuration(string text)
    {
        var trimmed = text.Trim();
        var unit = trimmed.AsSpan().IndexOfAnyExcept(NumberCharacters);
        if (unit > 0 && decimal.TryParse(trimmed[..unit], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && DurationUnits.TryGetValue(trimmed[unit..].Trim(), out var one) && number <= (decimal)(LongestDuration / one))
            return one * (double)number;
        throw new FormatException($"'{text}' is no duration; write it like 500ms, 30s, 10m or 2h");
    }

    public static bool ParseSwitch(string text) => text.ToLowerInvariant() switch
    {
        "true" or "1" or "yes" => true,
        "false" or "0" or "no" => false,
        _ => throw new FormatException($"'{text}' is neither true nor false"),
    };

    public static int ParseCount(string text) =>
        int.TryParse(text, out var count) && count > 0 ? count : throw new FormatException($"'{text}' is no number above 0");

    /// <summary>Reads a number that fits a byte.</summary>
    public static int ParseByte(string text) =>
        byte.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : throw new FormatException($"'{text}' is no number between 0 and 255");

    /// <summary>Reads <c>mlx5_0,mlx5_1:2</c>.</summary>
    public static IReadOnlyList<string> ParseNames(string text) =>
        text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } names
            ? names
            : throw new FormatException($"'{text}' names nothing");

    /// <summary>Reads the name of a cluster.</summary>
    public static string ParseCluster(string text) => DiscoveryOptions.ClusterProblem(text) is { } problem ? throw new FormatException($"'{text}': {problem}") : text;

    public static LogLevel ParseLogLevel(string text) => text.ToLowerInvariant() switch
    {
        "debug" => LogLevel.Debug,
        "information" or "info" => LogLevel.Information,
        "warning" => LogLevel.Warning,
        "error" => LogLevel.Error,
        _ => throw new FormatException($"'{text}' is no log level; choose debug, information, warning or error"),
    };

    /// <summary>An absolute path, as seen from the folder the command runs in.</summary>
    public static string ParsePath(string text) =>
        text.Length > 0 ? Path.GetFullPath(text) : throw new FormatException("the path is empty");

    /// <summary>A path for a Unix socket: Linux keeps 108 bytes for it, the final zero included (<c>sun_path</c>, unix(7)).</summary>
    public static string ParseSocket(string text)
    {
        var path = ParsePath(text);
        return System.Text.Encoding.UTF8.GetByteCount(path) <= 107
            ? path
            : throw new FormatException($"'{path}' is longer than the 107 bytes that a socket's path may have; choose a shorter one");
    }

    public static string ParseName(string text) =>
        text.Length is > 0 and <= 128 && !text.Any(char.IsControl) ? text : throw new FormatException($"'{text}' is no name; use 1 to 128 printable characters");

    /// <summary>Reads <c>name@version</c> from the command line.</summary>
    /// <exception cref="NodeException">It is none; the message says why.</exception>
    public static CheckpointName Checkpoint(string text) => CheckpointName.TryParse(text, out var checkpoint, out var problem)
        ? checkpoint
        : throw new NodeException(NodeError.Usage, $"'{text}' is no checkpoint: {problem}. Nothing was done.");

    /// <summary>Reads an option's text and names the option when it cannot be read.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>.</exception>
    public static TValue Option<TText, TValue>(string option, TText text, Func<TText, TValue> parse)
    {
        try
        {
            return parse(text);
        }
        catch (FormatException exception)
        {
            throw new NodeException(NodeError.Usage, $"{option}: {exception.Message}. Nothing was done.", exception);
        }
    }
}
