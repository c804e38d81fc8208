using System.Collections.Immutable;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace P2PWeights.Client.Engines;

/// <summary>The HTTP requests that engines know.</summary>
internal static partial class EngineRequests
{
    /// <summary>Of our Python package: what it is, a GET.</summary>
    public const string DescribePath = "p2pweights";

    /// <summary>Of our Python package: digests of tensors that it holds.</summary>
    public const string HashPath = "p2pweights/hash";

    /// <summary>Where the request goes that begins an update and is answered when it has ended.</summary>
    public static string BeginPath(EngineKind kind) => kind == EngineKind.Vllm ? "collective_rpc" : "update_weights_from_ipc";

    /// <summary>What it says.</summary>
    /// <param name="ranks">Devices and the addresses to which their workers connect.</param>
    /// <param name="timeout">After which vLLM gives up.</param>
    public static Action<Utf8JsonWriter> Begin(EngineKind kind, string checkpoint, ImmutableArray<(EngineDevice Device, string Address)> ranks, TimeSpan timeout) => json =>
    {
        if (kind == EngineKind.Vllm)
        {
            json.WriteString("method"u8, "update_weights_from_ipc"u8);
            json.WriteStartArray("args"u8);
            WriteRanks(json, ranks);
            json.WriteEndArray();
            json.WriteNumber("timeout"u8, timeout.TotalSeconds);
        }
        else
        {
            json.WritePropertyName("zmq_handles"u8);
            WriteRanks(json, ranks);
            json.WriteBoolean("flush_cache"u8, true);
            json.WriteString("weight_version"u8, checkpoint);
        }
    };

    public static Action<Utf8JsonWriter> Hash(IEnumerable<string> tensors) => json =>
    {
        json.WriteStartArray("tensors"u8);
        foreach (var tensor in tensors)
        {
            json.WriteStringValue(tensor);
        }

        json.WriteEndArray();
    };

    /// <summary>Whether an engine's own word for its device can be one.</summary>
    public static bool IsDevice(string id) => DeviceId().IsMatch(id);

    private static void WriteRanks(Utf8JsonWriter json, ImmutableArray<(EngineDevice Device, string Address)> ranks)
    {
        json.WriteStartObject();
        foreach (var (device, address) in ranks)
        {
            json.WriteString(device.Id, address);
        }

        json.WriteEndObject();
    }

    [GeneratedRegex(@"^(GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|host-[0-9]{1,6})$", RegexOptions.CultureInvariant)]
    private static partial Regex DeviceId();
}
