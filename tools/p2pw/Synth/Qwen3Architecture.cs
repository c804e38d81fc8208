using System.Text.Json.Nodes;

namespace P2PWeights.Cli.Synth;

/// <summary>
/// Qwen3 dense. Proportions of Qwen3-8B: the MLP is 3 times as wide as the model, a quarter of the heads have keys and values, and there is a layer
/// per 114 of width. Source of names and keys: transformers, models/qwen3.
/// </summary>
internal sealed class Qwen3Architecture : ISynthArchitecture
{
    private const int HeadsPerKeyValueHead = 4;
    private const double WidthPerLayer = 114;

    // Per layer, in units of width^2: q and o 1 each, k and v 1/4 each, three MLP matrices of 3.
    private const double LayerArea = 1 + 1 + 0.5 + 9;

    private readonly int _hidden;
    private readonly int _intermediate;
    private readonly int _headDim;
    private readonly int _heads;
    private readonly int _keyValueHeads;
    private readonly int _layers;

    private Qwen3Architecture(int hidden, int headDim, long parameters)
    {
        _hidden = hidden;
        _headDim = headDim;
        _intermediate = 3 * hidden;
        _heads = hidden / headDim;
        _keyValueHeads = _heads / HeadsPerKeyValueHead;
        _layers = (int)Math.Max(1, parameters / (LayerArea * hidden * hidden));
    }

    public long BytesPerToken => 2L * 2 * _hidden; // embedding and output, BF16

    /// <summary>The architecture whose layers have about <paramref name="bytes"/>.</summary>
    public static Qwen3Architecture Fit(long bytes)
    {
        var parameters = bytes / 2;
        var width = Math.Cbrt(parameters * WidthPerLayer / LayerArea);
        var headDim = width >= 1024 ? 128 : width >= 256 ? 64 : 32;
        var group = HeadsPerKeyValueHead * headDim;
        return new Qwen3Architecture(Math.Max(group, (int)width / group * group), headDim, parameters);
    }

    public IEnumerable<SynthTensor> Tensors(int vocabulary)
    {
        yield return Weight("model.embed_tokens.weight", vocabulary, _hidden);
        for (var layer = 0; layer < _layers; layer++)
        {
            var prefix = $"model.layers.{layer}.";
            yield return Weight(prefix + "self_attn.q_proj.weight", _heads * _headDim, _hidden);
            yield return Weight(prefix + "self_attn.k_proj.weight", _keyValueHeads * _headDim, _hidden);
            yield return Weight(prefix + "self_attn.v_proj.weight", _keyValueHeads * _headDim, _hidden);
            yield return Weight(prefix + "self_attn.o_proj.weight", _hidden, _heads * _headDim);
            yield return Norm(prefix + "self_attn.q_norm.weight", _headDim);
            yield return Norm(prefix + "self_attn.k_norm.weight", _headDim);
            yield return Weight(prefix + "mlp.gate_proj.weight", _intermediate, _hidden);
            yield return Weight(prefix + "mlp.up_proj.weight", _intermediate, _hidden);
            yield return Weight(prefix + "mlp.down_proj.weight", _hidden, _intermediate);
            yield return Norm(prefix + "input_layernorm.weight", _hidden);
            yield return Norm(prefix + "post_attention_layernorm.weight", _hidden);
        }

        yield return Norm("model.norm.weight", _hidden);
        yield return Weight("lm_head.weight", vocabulary, _hidden);
    }

    public JsonObject Config(int vocabulary) => new()
    {
        ["architectures"] = new JsonArray("Qwen3ForCausalLM"),
        ["attention_bias"] = false,
        ["attention_dropout"] = 0.0,
        ["bos_token_id"] = TokenizerStandIn.EndOfText,
        ["eos_token_id"] = TokenizerStandIn.EndOfText,
        ["head_dim"] = _headDim,
        ["hidden_act"] = "silu",
        ["hidden_size"] = _hidden,
        ["initializer_range"] = 0.02,
        ["intermediate_size"] = _intermediate,
        ["max_position_embeddings"] = 40960,
        ["max_window_layers"] = _layers,
        ["model_type"] = "qwen3",
        ["num_attention_heads"] = _heads,
        ["num_hidden_layers"] = _layers,
        ["num_key_value_heads"] = _keyValueHeads,
        ["rms_norm_eps"] = 1e-06,
        ["rope_scaling"] = null,
        ["rope_theta"] = 1000000,
        ["sliding_window"] = null,
        ["tie_word_embeddings"] = false,
        ["torch_dtype"] = "bfloat16",
        ["transformers_version"] = "4.51.0",
        ["use_cache"] = true,
        ["use_sliding_window"] = false,
        ["vocab_size"] = vocabulary,
    };

    private static SynthTensor Weight(string name, long rows, long columns) => new(name, "BF16", [rows, columns], SynthValues.Weight);

    private static SynthTensor Norm(string name, long length) => new(name, "BF16", [length], SynthValues.Norm);
}
