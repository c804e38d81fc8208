using System.Collections.Immutable;
using System.Globalization;
using P2PWeights.Native.Cuda;

namespace P2PWeights.Client.Engines;

/// <summary>
/// The URL of an engine: <c>KIND+http://HOST:PORT</c>, <c>KIND+https://…</c> or <c>KIND+unix:///PATH</c>, where KIND is <c>vllm</c>, <c>sglang</c> or
/// <c>python</c>, and for the first two optionally <c>?gpus=0,1,GPU-…</c>: those that the engine uses, all of the host when it is left out.
/// </summary>
/// <param name="Url">The URL as it was given.</param>
/// <param name="Base">Where requests go: the URL without kind and query; <c>http://engine/</c> for a Unix socket.</param>
/// <param name="Socket">Path of the Unix socket; null for TCP.</param>
/// <param name="Gpus">Indexes and UUIDs, as they were given; empty for all.</param>
internal sealed record EngineAddress(string Url, EngineKind Kind, Uri Base, string? Socket, ImmutableArray<string> Gpus)
{
    private const string GpusKey = "gpus=";

    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>, with the right form.</exception>
    public static EngineAddress Parse(string url)
    {
        var plus = url.IndexOf('+', StringComparison.Ordinal);
        EngineKind? kind = plus < 0 ? null : url[..plus] switch
        {
            "vllm" => EngineKind.Vllm,
            "sglang" => EngineKind.Sglang,
            "python" => EngineKind.Python,
            _ => null,
        };
        if (kind is null || !Uri.TryCreate(url[(plus + 1)..], UriKind.Absolute, out var uri))
        {
            throw Wrong(url, "expected KIND+http://HOST:PORT or KIND+unix:///PATH, with vllm, sglang or python for KIND");
        }

        if (uri.UserInfo.Length > 0 || uri.Fragment.Length > 0)
        {
            throw Wrong(url, "a user, a password and a fragment have no meaning here");
        }

        var gpus = Selection(url, kind.Value, uri.Query);
        return uri.Scheme switch
        {
            "http" or "https" => new EngineAddress(url, kind.Value, new UriBuilder(uri) { Query = "", Path = uri.AbsolutePath.TrimEnd('/') + '/' }.Uri, null, gpus),
            "unix" when uri.Host.Length == 0 && uri.LocalPath.Length > 1 => new EngineAddress(url, kind.Value, new Uri("http://engine/"), uri.LocalPath, gpus),
            "unix" => throw Wrong(url, "a Unix socket needs an absolute path: KIND+unix:///run/engine.sock"),
            _ => throw Wrong(url, "only http, https and unix are known behind the +"),
        };
    }

    /// <summary>The devices that the URL selects.</summary>
    /// <param name="hostGpus">UUIDs (<c>GPU-…</c>) of the host's GPUs, by CUDA's index.</param>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: no such GPU, or one twice.</exception>
    public ImmutableArray<EngineDevice> Select(ImmutableArray<string> hostGpus)
    {
        if (hostGpus.IsEmpty)
        {
            throw Wrong(Url, $"this node has no GPU, and such an engine takes its weights in GPU memory only: {CudaLibrary.Unavailable ?? "the driver shows none"}; see p2pw doctor");
        }

        var selected = Gpus.IsEmpty ? hostGpus : [.. Gpus.Select(gpu => Find(gpu, hostGpus))];
        return selected.Distinct().Count() == selected.Length
            ? [.. selected.Select(gpu => new EngineDevice(gpu))]
            : throw Wrong(Url, "a GPU is named twice");
    }

    private static ImmutableArray<string> Selection(string url, EngineKind kind, string query)
    {
        var text = Uri.UnescapeDataString(query.TrimStart('?'));
        if (text.Length == 0)
        {
            return [];
        }

        if (kind == EngineKind.Python || !text.StartsWith(GpusKey, StringComparison.Ordinal))
        {
            throw Wrong(url, kind == EngineKind.Python ? "such an engine names its device itself" : "only ?gpus= is known");
        }

        ImmutableArray<string> gpus = [.. text[GpusKey.Length..].Split(',')];
        return gpus.All(gpu => gpu.Length > 0) ? gpus : throw Wrong(url, "an empty name of a GPU");
    }

    private string Find(string gpu, ImmutableArray<string> hostGpus) =>
        hostGpus.Contains(gpu) ? gpu
        : int.TryParse(gpu, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < hostGpus.Length ? hostGpus[index]
        : throw Wrong(Url, $"there is no GPU {gpu}; this host has {string.Join(", ", hostGpus.Select((id, at) => $"{at} ({id})"))}");

    private static NodeException Wrong(string url, string why) => new(NodeError.Usage, $"engine '{url}': {why}");
}
