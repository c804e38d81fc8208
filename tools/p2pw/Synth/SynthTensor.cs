namespace P2PWeights.Cli.Synth;

/// <summary>What the values of a tensor look like.</summary>
internal enum SynthValues
{
    /// <summary>Weights: normal around 0 (std 0.02; as FP8, scaled to the range of the format).</summary>
    Weight,

    /// <summary>Gains of a norm: close to 1.</summary>
    Norm,

    /// <summary>Positive factors that bring a block of FP8 weights back to a std of about 0.02.</summary>
    Scale,
}

/// <summary>A tensor of a synthetic checkpoint.</summary>
/// <param name="Name">Name as the real model has it.</param>
/// <param name="DType">BF16, F32 or F8_E4M3.</param>
/// <param name="Shape">Dimensions, outermost first.</param>
/// <param name="Values">What its values look like.</param>
internal sealed record SynthTensor(string Name, string DType, long[] Shape, SynthValues Values)
{
    public long Elements => Shape.Aggregate(1L, (product, dimension) => checked(product * dimension));

    /// <summary>Bytes of the data.</summary>
    public long Length => checked(Elements * ElementBytes);

    private int ElementBytes => DType switch
    {
        "F8_E4M3" => 1,
        "BF16" => 2,
        "F32" => 4,
        _ => throw new InvalidOperationException($"no synthetic values of dtype {DType}"),
    };
}
