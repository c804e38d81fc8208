using System.Text.Json.Nodes;

namespace P2PWeights.Cli.Synth;

/// <summary>
/// DeepSeek-V3: latent attention, one dense layer, then layers of routed experts and a shared one; weights in FP8 with a scale per block of 128 x 128.
/// Proportions of the 671B model, with fewer experts in smaller checkpoints. The extra layer for multi-token prediction is left out.
/// Source of names and keys: the checkpoint deepseek-ai/DeepSeek-V3 (config.json, model.safetensors.index.json).
/// </summary>
internal sealed class DeepSeekV3Architecture : ISynthArchitecture
{
    private const int DenseLayers = 1;
    private const int ScaleBlock = 128;
    private const double WidthPerLayer = 117;

    // In units of width^2: latent attention per layer, and one expert (three matrices of 2/7 of the width).
    private const double AttentionArea = 3.65;
    private const double ExpertArea = 3 * 2.0 / 7;

    private readonly int _hidden;
    private readonly int _layers;
    private readonly int _experts;
    private readonly int _intermediate;
    private readonly int _expertIntermediate;
    private readonly int _heads;
    private readonly int _headDim;
    private readonly int _ropeDim;
    private readonly int _queryRank;
    private readonly int _keyValueRank;

    private DeepSeekV3Architecture(int hidden, int experts, long parameters)
    {
        _hidden = hidden;
        _experts = experts;
        _expertIntermediate = RoundTo16(hidden * 2 / 7.0);
        _intermediate = RoundTo16(hidden * 18 / 7.0);
        _headDim = hidden >= 1024 ? 128 : 32;
        _ropeDim = _headDim / 2;
        _heads = Math.Max(2, (int)(hidden * 16 / 7.0) / _headDim);
        _queryRank = RoundTo16(hidden * 1.5 / 7);
        _keyValueRank = RoundTo16(hidden * 0.5 / 7);
        _layers = DenseLayers + (int)Math.Max(1, (parameters / (LayerArea(experts) * hidden * hidden)) - DenseLayers);
    }

    public long BytesPerToken => 2L * 2 * _hidden; // embedding and output, BF16

    /// <summary>The architecture whose layers have about <paramref name="bytes"/>.</summary>
    public static DeepSeekV3Architecture Fit(long bytes)
    {
        var experts = bytes switch
        {
            < 64L << 20 => 4,
            < 1L << 30 => 16,
            < 16L << 30 => 64,
            < 128L << 30 => 128,
            _ => 256,
        };
        var width = Math.Cbrt(bytes * WidthPerLayer / LayerArea(experts));
        return new DeepSeekV3Architecture(Math.Max(64, (int)width / 64 * 64), experts, bytes);
    }

    public IEnumerable<SynthTensor> Tensors(int vocabulary) =>
    [
        Plain("model.embed_tokens.weight", vocabulary, _hidden),
        .. Enumerable.Range(0, _layers).SelectMany(Layer),
        Norm("model.norm.weight", _hidden),
        Plain("lm_head.weight", vocabulary, _hidden),
    ];

    public JsonObject Config(int vocabulary) => new()
    {
        ["architectures"] = new JsonArray("DeepseekV3ForCausalLM"),
        ["attention_bias"] = false,
        ["attention_dropout"] = 0.0,
        ["bos_token_id"] = TokenizerStandIn.EndOfText,
        ["eos_token_id"] = TokenizerStandIn.EndOfText,
        ["first_k_dense_replace"] = DenseLayers,
        ["hidden_act"] = "silu",
        ["hidden_size"] = _hidden,
        ["initializer_range"] = 0.02,
        ["intermediate_size"] = _intermediate,
        ["kv_lora_rank"] = _keyValueRank,
        ["max_position_embeddings"] = 163840,
        ["model_type"] = "deepseek_v3",
        ["moe_intermediate_size"] = _expertIntermediate,
        ["moe_layer_freq"] = 1,
        ["n_group"] = Math.Max(1, _experts / 32),
        ["n_routed_experts"] = _experts,
        ["n_shared_experts"] = 1,
        ["norm_topk_prob"] = true,
        ["num_attention_heads"] = _heads,
        ["num_experts_per_tok"] = Math.Min(8, _experts / 2),
        ["num_hidden_layers"] = _layers,
        ["num_key_value_heads"] = _heads,
        ["num_nextn_predict_layers"] = 0,
        ["q_lora_rank"] = _queryRank,
        ["qk_nope_head_dim"] = _headDim,
        ["qk_rope_head_dim"] = _ropeDim,
        ["quantization_config"] = new JsonObject
        {
            ["activation_scheme"] = "dynamic",
            ["fmt"] = "e4m3",
            ["quant_method"] = "fp8",
            ["weight_block_size"] = new JsonArray(ScaleBlock, ScaleBlock),
        },
        ["rms_norm_eps"] = 1e-06,
        ["rope_theta"] = 10000,
        ["routed_scaling_factor"] = 2.5,
        ["scoring_func"] = "sigmoid",
        ["tie_word_embeddings"] = false,
        ["topk_group"] = Math.Max(1, _experts / 64),
        ["topk_method"] = "noaux_tc",
        ["torch_dtype"] = "bfloat16",
        ["transformers_version"] = "4.46.3",
        ["use_cache"] = true,
        ["v_head_dim"] = _headDim,
        ["vocab_size"] = vocabulary,
    };

    private IEnumerable<SynthTensor> Layer(int layer)
    {
        var prefix = $"model.layers.{layer}.";
        var attention = prefix + "self_attn.";
        return
        [
            .. Quantized(attention + "q_a_proj", _queryRank, _hidden),
            Norm(attention + "q_a_layernorm.weight", _queryRank),
            .. Quantized(attention + "q_b_proj", _heads * (_headDim + _ropeDim), _queryRank),
            .. Quantized(attention + "kv_a_proj_with_mqa", _keyValueRank + _ropeDim, _hidden),
            Norm(attention + "kv_a_layernorm.weight", _keyValueRank),
            .. Quantized(attention + "kv_b_proj", _heads * (_headDim + _headDim), _keyValueRank),
            .. Quantized(attention + "o_proj", _hidden, _heads * _headDim),
            .. layer < DenseLayers ? Mlp(prefix + "mlp.", _intermediate) : Experts(prefix + "mlp."),
            Norm(prefix + "input_layernorm.weight", _hidden),
            Norm(prefix + "post_attention_layernorm.weight", _hidden),
        ];
    }

    private IEnumerable<SynthTensor> Experts(string prefix) =>
    [
        .. Enumerable.Range(0, _experts).SelectMany(expert => Mlp($"{prefix}experts.{expert}.", _expertIntermediate)),
        Plain(prefix + "gate.weight", _experts, _hidden),
        new SynthTensor(prefix + "gate.e_score_correction_bias", "F32", [_experts], SynthValues.Weight),
        .. Mlp(prefix + "shared_experts.", _expertIntermediate),
    ];

    private IEnumerable<SynthTensor> Mlp(string prefix, int intermediate) =>
    [
        .. Quantized(prefix + "gate_proj", intermediate, _hidden),
        .. Quantized(prefix + "up_proj", intermediate, _hidden),
        .. Quantized(prefix + "down_proj", _hidden, intermediate),
    ];

    private static double LayerArea(int experts) => AttentionArea + (ExpertArea * (experts + 1));

    private static int RoundTo16(double value) => Math.Max(16, (int)Math.Round(value / 16) * 16);

    private static IEnumerable<SynthTensor> Quantized(string name, long rows, long columns) =>
    [
        new(name + ".weight", "F8_E4M3", [rows, columns], SynthValues.Weight),
        new(name + ".weight_scale_inv", "F32", [Blocks(rows), Blocks(columns)], SynthValues.Scale),
    ];

    private static long Blocks(long length) => (length + ScaleBlock - 1) / ScaleBlock;

    private static SynthTensor Plain(string name, long rows, long columns) => new(name, "BF16", [rows, columns], SynthValues.Weight);

    private static SynthTensor Norm(string name, long length) => new(name, "BF16", [length], SynthValues.Norm);
}
