using P2PWeights.Store.Content;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer;

/// <summary>A swarm that this node is in: the manifest, and what of it is held here. Thread-safe.</summary>
public sealed class JoinedSwarm
{
    private readonly Swarm _swarm;

    internal JoinedSwarm(Swarm swarm) => _swarm = swarm;

    public Manifest Manifest => _swarm.Manifest;

    /// <summary>Bit i (least significant first) of byte i/8 says whether the shard with ordinal i is held here now.</summary>
    public ReadOnlyMemory<byte> Held() => _swarm.Held().ToBytes();

    /// <summary>The ordinal of a shard; -1 when the manifest does not have it.</summary>
    public int OrdinalOf(Digest shard) => _swarm.OrdinalOf(shard);
}
