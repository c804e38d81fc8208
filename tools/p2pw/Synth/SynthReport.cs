namespace P2PWeights.Cli.Synth;

/// <summary>What was written.</summary>
/// <param name="Files">Files, all kinds.</param>
/// <param name="WeightFiles">Safetensors files among them.</param>
/// <param name="Tensors">Tensors.</param>
/// <param name="Parameters">Elements of all weights, block scales not counted.</param>
/// <param name="Bytes">Sum of the file sizes.</param>
internal sealed record SynthReport(int Files, int WeightFiles, int Tensors, long Parameters, long Bytes);
