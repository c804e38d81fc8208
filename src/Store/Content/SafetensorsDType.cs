namespace P2PWeights.Store.Content;

/// <summary>The dtypes that the safetensors format defines today. Source: https://github.com/huggingface/safetensors, safetensors/src/tensor.rs, <c>Dtype::bitsize</c>.</summary>
internal static class SafetensorsDType
{
    /// <summary>Bits of one element; null for a dtype that is not known here, whose byte counts can then not be checked.</summary>
    public static int? BitsOf(string dtype) => dtype switch
    {
        "F4" => 4,
        "F6_E2M3" or "F6_E3M2" => 6,
        "BOOL" or "U8" or "I8" or "F8_E5M2" or "F8_E4M3" or "F8_E8M0" or "F8_E4M3FNUZ" or "F8_E5M2FNUZ" => 8,
        "I16" or "U16" or "F16" or "BF16" => 16,
        "I32" or "U32" or "F32" => 32,
        "I64" or "U64" or "F64" or "C64" => 64,
        _ => null,
    };
}
