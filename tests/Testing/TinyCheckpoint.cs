using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace P2PWeights.Testing;

/// <summary>Small checkpoints in the layout of Hugging Face, made of random bytes.</summary>
public static class TinyCheckpoint
{
    /// <summary>
    /// Writes a checkpoint of about <paramref name="bytes"/>: two safetensors files with large and small tensors, their index, a nested file, a hidden one, one with
    /// a space and other letters in its name, and an empty one.
    /// </summary>
    /// <param name="folder">Created when missing.</param>
    public static void Write(string folder, Seeded seed, int bytes)
    {
        Directory.CreateDirectory(Path.Combine(folder, "tokenizer", "deep"));
        var half = bytes / 2;
        File.WriteAllBytes(Path.Combine(folder, "model-00001-of-00002.safetensors"), Safetensors(Layer(seed, 0, half)));
        File.WriteAllBytes(Path.Combine(folder, "model-00002-of-00002.safetensors"), Safetensors(Layer(seed, 1, half)));
        File.WriteAllText(Path.Combine(folder, "model.safetensors.index.json"), """{"metadata":{},"weight_map":{}}""");
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""{"architectures":["Test"],"seed":{{seed.Seed.ToString(CultureInfo.InvariantCulture)}}}""");
        File.WriteAllText(Path.Combine(folder, "tokenizer", "deep", "tokenizer.json"), "{}");
        File.WriteAllText(Path.Combine(folder, ".hidden"), "hidden");
        File.WriteAllText(Path.Combine(folder, "two words, größer.txt"), "names may hold spaces and Unicode");
        File.WriteAllBytes(Path.Combine(folder, "empty"), []);
    }

    /// <summary>A sound safetensors file: the tensors follow each other in the order given.</summary>
    public static byte[] Safetensors(IReadOnlyList<(string Name, string DType, long[] Shape, byte[] Data)> tensors)
    {
        var json = new StringBuilder("{");
        var offset = 0L;
        foreach (var (name, dtype, shape, data) in tensors)
        {
            json.Append(json.Length > 1 ? "," : "");
            json.Append(CultureInfo.InvariantCulture, $$"""
                "{{name}}":{"dtype":"{{dtype}}","shape":[{{string.Join(',', shape)}}],"data_offsets":[{{offset}},{{offset + data.Length}}]}
                """);
            offset += data.Length;
        }

        return Safetensors(json.Append('}').ToString(), [.. tensors.SelectMany(tensor => tensor.Data)]);
    }

    /// <summary>A file in the form of safetensors with any header, sound or not.</summary>
    public static byte[] Safetensors(string json, byte[] data)
    {
        var header = Encoding.UTF8.GetBytes(json);
        var file = new byte[8 + header.Length + data.Length];
        BinaryPrimitives.WriteInt64LittleEndian(file, header.Length);
        header.CopyTo(file, 8);
        data.CopyTo(file, 8 + header.Length);
        return file;
    }

    private static List<(string Name, string DType, long[] Shape, byte[] Data)> Layer(Seeded seed, int layer, int bytes)
    {
        var large = bytes / 2 / 2;
        return
        [
            ($"model.layers.{layer}.input_layernorm.weight", "BF16", [128], seed.Bytes(256)),
            ($"model.layers.{layer}.mlp.up_proj.weight", "BF16", [large], seed.Bytes(2 * large)),
            ($"model.layers.{layer}.mlp.down_proj.weight", "F8_E4M3", [2 * large], seed.Bytes(2 * large)),
            ($"model.layers.{layer}.post_attention_layernorm.weight", "F32", [64], seed.Bytes(256)),
        ];
    }
}
