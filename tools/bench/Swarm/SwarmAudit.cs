using P2PWeights.Transfer;

namespace P2PWeights.Bench.Swarm;

/// <summary>What can be found out after a run: whether anything wrong is held anywhere, and who banned whom.</summary>
/// <param name="Checked">Replicas that were hashed again on the nodes that are still there.</param>
/// <param name="Wrong">Of these, the wrong ones, as sentences.</param>
/// <param name="WrongBytes">Fetches that brought wrong bytes, as the nodes' metrics count them, by name.</param>
/// <param name="Banned">Who banned whom, by name.</param>
internal sealed record SwarmAudit(long Checked, IReadOnlyList<string> Wrong, IReadOnlyDictionary<string, double> WrongBytes, IReadOnlyList<(string By, string Whom)> Banned)
{
    /// <summary>Looks at every consumer that finished.</summary>
    public static async Task<SwarmAudit> OfAsync(SwarmResult result, CancellationToken cancellationToken)
    {
        var banned = new List<(string, string)>();
        var (hashed, wrong, wrongBytes) = (0L, new List<string>(), new Dictionary<string, double>());
        foreach (var finish in result.Done.Where(finish => !finish.Node.IsDead))
        {
            var peers = await finish.Node.Node.Client.PeersAsync(cancellationToken);
            banned.AddRange(peers.Where(peer => peer.Banned is not null).Select(peer => (finish.Node.Name, peer.Peer.Name)));
            var scrub = await finish.Node.Node.Client.ScrubAsync(progress: null, cancellationToken);
            hashed += scrub.Checked;
            wrong.AddRange(scrub.Wrong);
            wrongBytes[finish.Node.Name] = await finish.Node.Node.MetricAsync("p2pw_transfer_failures_total", $"reason=\"{FailureReasons.WrongBytes}\"", cancellationToken);
        }

        return new SwarmAudit(hashed, wrong, wrongBytes, banned);
    }

    public override string ToString() =>
        $"{Checked} replicas hashed again, {Wrong.Count} wrong; {WrongBytes.Values.Sum()} fetches brought wrong bytes; bans: {(Banned.Count == 0 ? "none" : string.Join(", ", Banned.GroupBy(ban => ban.Whom).Select(bans => $"{bans.Key} by {bans.Count()} nodes")))}";
}
