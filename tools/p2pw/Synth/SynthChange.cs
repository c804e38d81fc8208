using System.Collections.Frozen;
using System.Collections.Immutable;
using P2PWeights.Store.Content;

namespace P2PWeights.Cli.Synth;

/// <summary>What differs between a made-up checkpoint and its next version: some tensors have other values.</summary>
/// <param name="Part">How much of all weights, by bytes, 0 to 1; met from below, as well as whole tensors allow.</param>
/// <param name="Seed">Which tensors, and what their values are.</param>
internal sealed record SynthChange(double Part, long Seed)
{
    /// <summary>The changed tensors. Large ones only, as long as there are any: those have shards of their own, so that the bytes that move are those that changed.</summary>
    public FrozenSet<string> Choose(ImmutableArray<SynthWeightFile> files)
    {
        var all = files.SelectMany(file => file.Tensors).ToList();
        var large = all.Where(tensor => tensor.Length >= CuttingPlanner.LargeTensorBytes).ToList();
        var left = (long)(Part * all.Sum(tensor => tensor.Length));
        var chosen = new List<string>();
        foreach (var tensor in (large.Count > 0 ? large : all).OrderBy(tensor => NormalNoise.SeedOf(Seed, tensor.Name)))
        {
            if (tensor.Length <= left)
            {
                left -= tensor.Length;
                chosen.Add(tensor.Name);
            }
        }

        return chosen.ToFrozenSet();
    }
}
