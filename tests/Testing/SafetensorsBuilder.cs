using System.Buffers.Binary;
using System.Text;

namespace P2PWeights.Testing;

/// <summary>Makes the bytes of safetensors files, right ones and, from a header written by hand, wrong ones.</summary>
public sealed class SafetensorsBuilder
{
    private readonly List<(string Name, string DType, long[] Shape, byte[] Data)> _tensors = [];
    private readonly Dictionary<string, string> _metadata = [];

    /// <summary>Adds a tensor whose data follows that of the one before. Whether dtype, shape and data agree is up to the caller.</summary>
    public SafetensorsBuilder Add(string name, string dtype, long[] shape, byte[] data)
    {
        _tensors.Add((name, dtype, shape, data));
        return this;
    }

    public SafetensorsBuilder AddMetadata(string key, string value)
    {
        _metadata.Add(key, value);
        return this;
    }

    /// <summary>The whole file, its JSON padded with spaces to 8 bytes.</summary>
    public byte[] Build()
    {
        var entries = new List<string>();
        if (_metadata.Count > 0)
        {
            entries.Add($$"""{{Quote("__metadata__")}}:{{{string.Join(',', _metadata.Select(pair => $"{Quote(pair.Key)}:{Quote(pair.Value)}"))}}}""");
        }

        var offset = 0L;
        foreach (var (name, dtype, shape, data) in _tensors)
        {
            entries.Add($$"""{{Quote(name)}}:{"dtype":{{Quote(dtype)}},"shape":[{{string.Join(',', shape)}}],"data_offsets":[{{offset}},{{offset + data.Length}}]}""");
            offset += data.Length;
        }

        var json = "{" + string.Join(',', entries) + "}";
        var length = Encoding.UTF8.GetByteCount(json);
        return Build(json + new string(' ', -length & 7), [.. _tensors.SelectMany(tensor => tensor.Data)]);
    }

    /// <summary>A file of this JSON, as it is, and this data.</summary>
    public static byte[] Build(string json, byte[] data)
    {
        var utf8 = Encoding.UTF8.GetBytes(json);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, utf8.Length);
        return [.. length, .. utf8, .. data];
    }

    private static string Quote(string text) => $"\"{System.Text.Json.JsonEncodedText.Encode(text)}\"";
}
