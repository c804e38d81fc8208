namespace P2PWeights.Client.Engines;

/// <summary>The dtypes that engines are told of: those of safetensors that torch has too, one element being one or more whole bytes.</summary>
internal static class EngineDType
{
    private static readonly string[] All =
    [
        "BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64", "F16", "BF16", "F32", "F64", "C64", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ",
    ];

    /// <summary>
    /// What torch calls a dtype of safetensors, without <c>torch.</c>; null when torch has none, or (F4, F6) packs several elements into a byte, for which
    /// shapes mean different things in the two.
    /// </summary>
    public static string? TorchName(string dtype) => dtype switch
    {
        "BOOL" => "bool",
        "U8" => "uint8",
        "I8" => "int8",
        "U16" => "uint16",
        "I16" => "int16",
        "U32" => "uint32",
        "I32" => "int32",
        "U64" => "uint64",
        "I64" => "int64",
        "F16" => "float16",
        "BF16" => "bfloat16",
        "F32" => "float32",
        "F64" => "float64",
        "C64" => "complex64",
        "F8_E4M3" => "float8_e4m3fn",
        "F8_E5M2" => "float8_e5m2",
        "F8_E8M0" => "float8_e8m0fnu",
        "F8_E4M3FNUZ" => "float8_e4m3fnuz",
        "F8_E5M2FNUZ" => "float8_e5m2fnuz",
        _ => null,
    };

    /// <summary>The other way: the dtype of safetensors for torch's; null when it is none of these.</summary>
    public static string? OfTorch(string name) => All.FirstOrDefault(dtype => TorchName(dtype) == name);

    /// <summary>Bytes of one element of a dtype that <see cref="TorchName"/> knows, else 0.</summary>
    public static int Size(string dtype) => dtype switch
    {
        "BOOL" or "U8" or "I8" or "F8_E4M3" or "F8_E5M2" or "F8_E8M0" or "F8_E4M3FNUZ" or "F8_E5M2FNUZ" => 1,
        "U16" or "I16" or "F16" or "BF16" => 2,
        "U32" or "I32" or "F32" => 4,
        "U64" or "I64" or "F64" or "C64" => 8,
        _ => 0,
    };
}
