using System.Collections.Immutable;
using System.Text.Json;
using P2PWeights.Client.Engines.Zmtp;

namespace P2PWeights.Client.Engines;

/// <summary>An engine reached by HTTP, whose ranks connect to us: vLLM, SGLang, or a process with our Python package.</summary>
internal sealed class Engine : IEngine
{
    /// <summary>Tensors per request that reads back: few enough for its deadline with the largest tensors, many enough that requests do not count.</summary>
    private const int HashBatch = 64;

    private const int DigestBytes = 32;

    private readonly EngineAddress _address;
    private readonly EngineHttp _http;
    private readonly EngineOptions _options;
    private readonly Farewells _farewells;
    private readonly Farewells? _ownFarewells;

    private Engine(EngineAddress address, EngineHttp http, ImmutableArray<EngineDevice> devices, EngineOptions options, Farewells? farewells)
    {
        _address = address;
        _http = http;
        _options = options;
        _ownFarewells = farewells is null ? new Farewells() : null;
        _farewells = farewells ?? _ownFarewells!;
        Devices = devices;
    }

    public string Name => _address.Url;

    public ImmutableArray<EngineDevice> Devices { get; }

    /// <summary>Finds out which devices the engine uses; a Python engine is asked, and must be running.</summary>
    /// <param name="hostGpus">UUIDs (<c>GPU-…</c>) of this host's GPUs, by CUDA's index; empty without any.</param>
    /// <param name="farewells">Tells ranks later that could not be told at once, and outlives the engine's object; null to tell them no longer than that lives.</param>
    /// <exception cref="EngineException">It cannot be reached, or does not say what it should.</exception>
    /// <exception cref="NodeException"><see cref="NodeError.Usage"/>: the URL names GPUs that are not here.</exception>
    public static async Task<Engine> ConnectAsync(EngineAddress address, ImmutableArray<string> hostGpus, EngineOptions options, CancellationToken cancellationToken, Farewells? farewells = null)
    {
        var http = new EngineHttp(address);
        try
        {
            var devices = address.Kind == EngineKind.Python
                ? [await AskDeviceAsync(address, http, options, cancellationToken).ConfigureAwait(false)]
                : address.Select(hostGpus);
            return new Engine(address, http, devices, options, farewells);
        }
        catch
        {
            http.Dispose();
            throw;
        }
    }

    public ImmutableArray<IEngineChannel> BeginUpdate(string checkpoint)
    {
        List<ZmtpListener> listeners = [];
        try
        {
            foreach (var device in Devices)
            {
                listeners.Add(new ZmtpListener(device.Id));
            }
        }
        catch
        {
            listeners.ForEach(listener => listener.Dispose());
            throw;
        }

        var request = EngineRequests.Begin(_address.Kind, checkpoint, [.. Devices.Zip(listeners, (device, listener) => (device, listener.Address))], _options.UpdateTimeout);
        var update = new EngineUpdateCall(
            Name,
            _address.Kind,
            Devices.Length,
            cancellationToken => _http.CallAsync(EngineRequests.BeginPath(_address.Kind), request, "asked to update", _options.UpdateTimeout, cancellationToken),
            _options.AbortTimeout);
        return [.. Devices.Zip(listeners, (device, listener) => new EngineChannel(Name, device, listener, update, _options, _farewells))];
    }

    public async Task<ImmutableArray<ReadOnlyMemory<byte>>> HashAsync(ImmutableArray<string> tensors, CancellationToken cancellationToken)
    {
        if (_address.Kind != EngineKind.Python)
        {
            throw new EngineException(EngineError.NotSupported, $"engine {Name} cannot read its tensors back; only one that receives with the Python package p2pweights can");
        }

        var digests = ImmutableArray.CreateBuilder<ReadOnlyMemory<byte>>(tensors.Length);
        foreach (var batch in tensors.Chunk(HashBatch))
        {
            var answer = await _http.CallAsync(EngineRequests.HashPath, EngineRequests.Hash(batch), "asked for what it holds", _options.HashTimeout, cancellationToken).ConfigureAwait(false);
            digests.AddRange(ReadDigests(answer, batch.Length));
        }

        return digests.MoveToImmutable();
    }

    public async ValueTask DisposeAsync()
    {
        if (_ownFarewells is not null)
        {
            await _ownFarewells.DisposeAsync().ConfigureAwait(false);
        }

        _http.Dispose();
    }

    private static async Task<EngineDevice> AskDeviceAsync(EngineAddress address, EngineHttp http, EngineOptions options, CancellationToken cancellationToken)
    {
        var answer = await http.CallAsync(EngineRequests.DescribePath, null, "asked for its device", options.OpenTimeout, cancellationToken).ConfigureAwait(false);
        try
        {
            using var json = JsonDocument.Parse(answer);
            var device = new EngineDevice(json.RootElement.GetProperty("device").GetString() ?? "");
            return EngineRequests.IsDevice(device.Id) ? device : throw new FormatException($"the device is '{EngineText.Clean(device.Id)}'");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new EngineException(EngineError.Protocol, $"engine {address.Url} does not say what its device is: {e.Message}; is it a process with p2pweights.engine?", e);
        }
    }

    private List<ReadOnlyMemory<byte>> ReadDigests(ReadOnlyMemory<byte> answer, int count)
    {
        try
        {
            using var json = JsonDocument.Parse(answer);
            List<ReadOnlyMemory<byte>> digests = [.. json.RootElement.GetProperty("sha256").EnumerateArray().Select(ReadDigest)];
            return digests.Count == count ? digests : throw new FormatException($"{digests.Count} digests for {count} tensors");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new EngineException(EngineError.Protocol, $"engine {Name}, asked for what it holds, did not answer with digests: {e.Message}", e);
        }
    }

    /// <summary>Null stands for a tensor that is not held.</summary>
    private static ReadOnlyMemory<byte> ReadDigest(JsonElement hex)
    {
        var digest = hex.ValueKind == JsonValueKind.Null ? [] : Convert.FromHexString(hex.GetString()!);
        return hex.ValueKind == JsonValueKind.Null || digest.Length == DigestBytes ? digest : throw new FormatException($"a digest of {digest.Length} bytes, not {DigestBytes}");
    }
}
