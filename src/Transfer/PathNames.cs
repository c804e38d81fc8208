namespace P2PWeights.Transfer;

/// <summary>The words of the paths, as settings, reports, metrics and logs use them.</summary>
public static class PathNames
{
    /// <summary>Same host: the peer's memory or files are adopted, or copied without a socket.</summary>
    public const string Local = "local";

    /// <summary>Same host: shards on the peer's GPUs are copied to this node's by the devices. Carries nothing else, and is first because of that: where it does, every other way is longer.</summary>
    public const string Nvlink = "nvlink";

    /// <summary>One-sided reads of the peer's registered memory.</summary>
    public const string Rdma = "rdma";

    /// <summary>Payload over TCP connections; reaches everybody.</summary>
    public const string Tcp = "tcp";

    /// <summary>Every path, best first.</summary>
    public static IReadOnlyList<string> All { get; } = [Nvlink, Local, Rdma, Tcp];

    /// <summary>The paths that are allowed unless settings say otherwise.</summary>
    public static IReadOnlyList<string> Default { get; } = All;

    /// <summary>
    /// Whether this node reads the bytes itself, without the peer's hands on them. Wrong bytes over such a path may be the path's fault (a range that was used
    /// again, a key that was reused); over any other the peer sent them.
    /// </summary>
    public static bool IsOneSided(string path) => path != Tcp;

    /// <summary>Whether the node's caps on what it sends and receives count what goes this way: what crosses a network does, what stays on the host does not.</summary>
    public static bool IsCapped(string path) => path is Rdma or Tcp;
}
