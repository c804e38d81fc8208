using System.Diagnostics.CodeAnalysis;

namespace P2PWeights.Cli.Synth;

/// <summary>Model architectures whose tensor names, shapes and dtypes a synthetic checkpoint can have.</summary>
internal enum SynthLayout
{
    /// <summary>Qwen3 dense (Qwen3ForCausalLM), BF16: few, large tensors.</summary>
    Qwen3,

    /// <summary>DeepSeek-V3 (DeepseekV3ForCausalLM), FP8 with block scales and routed experts: many tensors, most of them small.</summary>
    DeepSeekV3,
}

/// <summary>How layouts are written on a command line.</summary>
internal static class SynthLayouts
{
    /// <summary>All names, for help texts and messages.</summary>
    public const string Names = "qwen3, deepseek-v3";

    public static bool TryParse(string text, [NotNullWhen(true)] out SynthLayout? layout)
    {
        layout = text switch
        {
            "qwen3" => SynthLayout.Qwen3,
            "deepseek-v3" => SynthLayout.DeepSeekV3,
            _ => null,
        };
        return layout is not null;
    }
}
