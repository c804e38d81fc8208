namespace P2PWeights.Cli.Synth;

/// <summary>A synthetic checkpoint to be written.</summary>
/// <param name="Folder">Folder to write to: missing or empty.</param>
/// <param name="SizeBytes">Wanted size of all files together, in bytes, met within about 2 %; at least <see cref="MinSizeBytes"/>.</param>
/// <param name="Layout">Architecture to imitate.</param>
/// <param name="Seed">Equal options give equal bytes; another seed gives other weights of the same shapes.</param>
/// <param name="Change">Makes a second version of the checkpoint that the other options make; null for the first.</param>
internal sealed record SynthOptions(string Folder, long SizeBytes, SynthLayout Layout = SynthLayout.Qwen3, long Seed = 0, SynthChange? Change = null)
{
    /// <summary>The smallest size whose shapes still look like a model's.</summary>
    public const long MinSizeBytes = 1 << 20;
}
