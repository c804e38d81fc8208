using System.Net;
using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Serving;

/// <summary>
/// For whom leases on files count: a node on this host, or all that call from one other address. A node id is its caller's own word, and whoever can make ids up must not get a share for each; those on this
/// host, who have a use for such leases, are this host's own to keep in order, and are many behind one address.
/// </summary>
/// <param name="Node">The node id; empty for those of another address.</param>
/// <param name="Address">The other address; null on this host.</param>
internal readonly record struct FileHolder(Guid Node, IPAddress? Address)
{
    public static FileHolder Of(FrameConnection caller, Guid node) =>
        caller.IsOfThisHost ? new FileHolder(node, null) : new FileHolder(Guid.Empty, caller.RemoteAddress);
}
