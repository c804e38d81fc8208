using P2PWeights.Client;

namespace P2PWeights.Cli.Targets;

/// <summary>Where the node of this machine is looked for when a command names none.</summary>
internal static class NodeLocator
{
    /// <summary>Names the socket for every command.</summary>
    public const string Variable = "P2PW_NODE";

    private const string SystemSocket = "/run/p2pweights/node.sock";

    /// <summary>The socket that <c>p2pw node</c> listens on unless told otherwise: the system's for root, else the user's.</summary>
    public static string DefaultForServing(IReadOnlyDictionary<string, string> environment) =>
        !Environment.IsPrivilegedProcess && UserSocket(environment) is { } socket ? socket : SystemSocket;

    /// <summary>The socket to use: the variable's, else the system's or the user's, whichever exists.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/>: there is none; the message says what to do.</exception>
    public static string Find(IReadOnlyDictionary<string, string> environment, Func<string, bool> exists)
    {
        // A variable that names a socket is an order, not a hint: falling back to another node would surprise.
        if (environment.TryGetValue(Variable, out var named) && named.Length > 0)
            return Path.GetFullPath(named);
        string[] places = [SystemSocket, .. UserSocket(environment) is { } user ? [user] : Array.Empty<string>()];
        return places.FirstOrDefault(exists) ?? throw new NodeException(
            NodeError.NotFound,
            $"no node runs on this machine: looked for {string.Join(" and ", places)}; {Variable} is not set.\n"
            + "Name a node's socket with --node SOCKET, go to a tracker with --tracker URL where the command takes it, or start a node: p2pw node --tracker URL --data DIR --socket SOCKET");
    }

    private static string? UserSocket(IReadOnlyDictionary<string, string> environment) =>
        environment.TryGetValue("XDG_RUNTIME_DIR", out var folder) && folder.Length > 0 ? Path.Combine(folder, "p2pweights/node.sock") : null;
}
