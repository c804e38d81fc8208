using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>The tensor tables of real models, shapes only, laid out in files as their publishers do. Source: each model's config.json and model.safetensors.index.json.</summary>
internal static class ModelTables
{
    private const long MaxFileBytes = 5_000_000_000;

    /// <summary>Qwen/Qwen3-235B-A22B: 94 layers of 128 experts, BF16.</summary>
    public static (IReadOnlyList<TensorInfo> Tensors, int Files) Qwen3() => LayOut(Around(151936, 4096, Enumerable.Range(0, 94).SelectMany(layer =>
    {
        var prefix = $"model.layers.{layer}.";
        return (IEnumerable<Entry>)
        [
            Bf16(prefix + "self_attn.q_proj.weight", 8192, 4096), Bf16(prefix + "self_attn.k_proj.weight", 512, 4096),
            Bf16(prefix + "self_attn.v_proj.weight", 512, 4096), Bf16(prefix + "self_attn.o_proj.weight", 4096, 8192),
            Bf16(prefix + "self_attn.q_norm.weight", 128), Bf16(prefix + "self_attn.k_norm.weight", 128),
            Bf16(prefix + "input_layernorm.weight", 4096), Bf16(prefix + "post_attention_layernorm.weight", 4096),
            Bf16(prefix + "mlp.gate.weight", 128, 4096),
            .. Enumerable.Range(0, 128).SelectMany(expert => (IEnumerable<Entry>)
            [
                Bf16($"{prefix}mlp.experts.{expert}.gate_proj.weight", 1536, 4096), Bf16($"{prefix}mlp.experts.{expert}.up_proj.weight", 1536, 4096),
                Bf16($"{prefix}mlp.experts.{expert}.down_proj.weight", 4096, 1536),
            ]),
        ];
    })));

    /// <summary>deepseek-ai/DeepSeek-V3 without its extra layer for multi-token prediction: 61 layers, 3 of them dense, 256 experts, FP8 with scales per 128 x 128.</summary>
    public static (IReadOnlyList<TensorInfo> Tensors, int Files) DeepSeekV3() => LayOut(Around(129280, 7168, LatentLayers(dense: 3, experts: 256, heads: 128)));

    /// <summary>moonshotai/Kimi-K2-Instruct: 61 layers, 1 of them dense, 384 experts, FP8 with scales per 128 x 128.</summary>
    public static (IReadOnlyList<TensorInfo> Tensors, int Files) KimiK2() => LayOut(Around(163840, 7168, LatentLayers(dense: 1, experts: 384, heads: 64)));

    private static IEnumerable<Entry> LatentLayers(int dense, int experts, int heads) => Enumerable.Range(0, 61).SelectMany(layer =>
    {
        var prefix = $"model.layers.{layer}.";
        var attention = prefix + "self_attn.";
        return (IEnumerable<Entry>)
        [
            .. Fp8(attention + "q_a_proj", 1536, 7168), Bf16(attention + "q_a_layernorm.weight", 1536), .. Fp8(attention + "q_b_proj", heads * 192, 1536),
            .. Fp8(attention + "kv_a_proj_with_mqa", 576, 7168), Bf16(attention + "kv_a_layernorm.weight", 512),
            .. Fp8(attention + "kv_b_proj", heads * 256, 512), .. Fp8(attention + "o_proj", 7168, heads * 128),
            Bf16(prefix + "input_layernorm.weight", 7168), Bf16(prefix + "post_attention_layernorm.weight", 7168),
            .. layer < dense
                ? Mlp(prefix + "mlp.", 18432)
                :
                [
                    .. Enumerable.Range(0, experts).SelectMany(expert => Mlp($"{prefix}mlp.experts.{expert}.", 2048)), .. Mlp(prefix + "mlp.shared_experts.", 2048),
                    Bf16(prefix + "mlp.gate.weight", experts, 7168), new Entry(prefix + "mlp.gate.e_score_correction_bias", "F32", 4, [experts]),
                ],
        ];
    });

    private static IEnumerable<Entry> Mlp(string prefix, int width) =>
        [.. Fp8(prefix + "gate_proj", width, 7168), .. Fp8(prefix + "up_proj", width, 7168), .. Fp8(prefix + "down_proj", 7168, width)];

    private static IEnumerable<Entry> Around(int vocabulary, int hidden, IEnumerable<Entry> layers) =>
        [Bf16("model.embed_tokens.weight", vocabulary, hidden), .. layers, Bf16("model.norm.weight", hidden), Bf16("lm_head.weight", vocabulary, hidden)];

    private static Entry Bf16(string name, params long[] shape) => new(name, "BF16", 2, shape);

    private static IEnumerable<Entry> Fp8(string name, long rows, long columns) =>
        [new(name + ".weight", "F8_E4M3", 1, [rows, columns]), new(name + ".weight_scale_inv", "F32", 4, [(rows + 127) / 128, (columns + 127) / 128])];

    /// <summary>Files of consecutive tensors; in a file the widest dtypes first, then by name, as the safetensors library writes it.</summary>
    private static (IReadOnlyList<TensorInfo> Tensors, int Files) LayOut(IEnumerable<Entry> entries)
    {
        var files = new List<List<Entry>> { new() };
        var bytes = 0L;
        foreach (var entry in entries)
        {
            if (bytes + entry.Length > MaxFileBytes)
            {
                files.Add([]);
                bytes = 0;
            }

            files[^1].Add(entry);
            bytes += entry.Length;
        }

        var tensors = new List<TensorInfo>();
        for (var file = 0; file < files.Count; file++)
        {
            // The header's length is one of the few things that the tables do not tell.
            var offset = 8L + (120 * files[file].Count);
            foreach (var entry in files[file].OrderByDescending(entry => entry.ElementBytes).ThenBy(entry => entry.Name, StringComparer.Ordinal))
            {
                tensors.Add(new TensorInfo(entry.Name, entry.DType, [.. entry.Shape], file, offset, entry.Length));
                offset += entry.Length;
            }
        }

        return (tensors, files.Count);
    }

    private sealed record Entry(string Name, string DType, int ElementBytes, long[] Shape)
    {
        public long Length { get; } = Shape.Aggregate((long)ElementBytes, (bytes, dimension) => bytes * dimension);
    }
}
