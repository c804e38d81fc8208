using System.CommandLine;
using System.Globalization;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Targets;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw peers</c>: the peers a node talks to, or all that the tracker knows.</summary>
internal sealed class PeersCommand : CliCommand
{
    private readonly TargetOptions _target = new();

    public PeersCommand()
        : base("peers", "List the peers of a node, or all that the tracker knows.", "p2pw peers", "p2pw peers --tracker http://tracker:7400 --json") =>
        _target.AddTo(this);

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var target = await _target.ReadAsync(arguments, cancellationToken);
        if (target.Socket is null)
        {
            using var tracker = target.OpenTracker();
            var tracked = await tracker.PeersAsync(cancellationToken);
            terminal.Result(tracked.Select(JsonShapes.Of), text =>
            {
                var table = new TextTable("name", "id", "endpoint", ">shards", ">swarms", ">sending", ">seen", "labels");
                foreach (var peer in tracked)
                {
                    table.Add(
                        peer.Peer.Name,
                        peer.Peer.Id.ToString(),
                        string.Join(',', peer.Peer.Endpoints),
                        peer.Shards.ToString(CultureInfo.InvariantCulture),
                        peer.Swarms.ToString(CultureInfo.InvariantCulture),
                        Format.Rate(peer.LoadBytesPerSecond),
                        $"{Format.Time(TimeSpan.FromMilliseconds(peer.AgeMs))} ago",
                        peer.Peer.Labels.IsEmpty ? "-" : string.Join(',', peer.Peer.Labels.Select(label => $"{label.Key}={label.Value}")));
                }

                table.Write(text);
            });
            return 0;
        }

        using var node = target.OpenNode();
        var peers = await node.PeersAsync(cancellationToken);
        terminal.Result(peers.Select(JsonShapes.Of), text =>
        {
            var table = new TextTable("name", "id", "endpoint", "connected", "path", ">rate", ">received", "banned");
            foreach (var peer in peers)
            {
                table.Add(
                    peer.Peer.Name,
                    peer.Peer.Id.ToString(),
                    string.Join(',', peer.Peer.Endpoints),
                    peer.Connected ? "yes" : "no",
                    peer.Path ?? "-",
                    peer.Paths.FirstOrDefault(path => path.Carried.Path == peer.Path) is { BytesPerSecond: > 0 } used ? Format.Rate(used.BytesPerSecond) : "-",
                    Format.Bytes(peer.BytesReceived),
                    peer.Banned is null ? "-" : Format.Invariant($"{peer.Banned} (until {peer.BannedUntil:HH:mm:ss'Z'})"));
            }

            table.Write(text);
            WritePaths(text, peers);
        });
        return 0;
    }

    /// <summary>Every path that was looked at: what it carried how fast, and why it is not used.</summary>
    private static void WritePaths(TextWriter text, IReadOnlyList<PeerStatus> peers)
    {
        var table = new TextTable("peer", "path", "state", ">received", ">rate", "failures", "why not used");
        var looked = peers.SelectMany(peer => peer.Paths.Where(path => path.State != "untried").Select(path => (peer.Peer.Name, Path: path))).ToList();
        foreach (var (name, path) in looked)
        {
            table.Add(
                name,
                path.Carried.Path,
                path.State,
                Format.Bytes(path.Carried.Bytes),
                path.BytesPerSecond > 0 ? Format.Rate(path.BytesPerSecond) : "-",
                PathTexts.Failures(path.Carried.Failures),
                path.Reason is null ? "-" : Format.Invariant($"{path.Reason}: {path.Detail} (tried again from {path.RetryAt:HH:mm:ss'Z'})"));
        }

        if (looked.Count == 0)
            return;
        text.WriteLine();
        table.Write(text);
    }
}
