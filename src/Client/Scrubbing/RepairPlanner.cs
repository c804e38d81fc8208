using P2PWeights.Store.Content;

namespace P2PWeights.Client.Scrubbing;

/// <summary>Decides in which swarms lost shards are asked for: each once, in the first manifest that uses it.</summary>
internal static class RepairPlanner
{
    /// <returns>Manifests with the ordinals to fetch; shards that no manifest uses are in none, for nobody needs them any more.</returns>
    public static IReadOnlyList<(Manifest Manifest, IReadOnlyList<int> Ordinals)> Plan(IEnumerable<Digest> lost, IEnumerable<Manifest> manifests)
    {
        var open = lost.ToHashSet();
        var plan = new List<(Manifest, IReadOnlyList<int>)>();
        foreach (var manifest in manifests)
        {
            var ordinals = Enumerable.Range(0, manifest.Shards.Length).Where(ordinal => open.Remove(manifest.Shards[ordinal].Digest)).ToList();
            if (ordinals.Count > 0)
            {
                plan.Add((manifest, ordinals));
            }
        }

        return plan;
    }
}
