using Microsoft.Extensions.Logging;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Transfer.Sessions;
using P2PWeights.Transfer.Swarms;

namespace P2PWeights.Transfer.Pulling;

/// <summary>What all pulls of a node share.</summary>
internal sealed record PullContext(
    Guid Self,
    ShardStore Store,
    SwarmRegistry Swarms,
    SessionPool Sessions,
    PeerBook Peers,
    FlightTable Flights,
    TransferOptions Options,
    Action<Digest> NeighboursWanted,
    TransferMetrics Metrics,
    TimeProvider Time,
    ILogger Log);
