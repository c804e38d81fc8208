using System.Diagnostics.CodeAnalysis;
using P2PWeights.Client.Engines;
using P2PWeights.Native.Posix;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>
/// Turns the failures of store, transfer and tracker into the one exception of this project. Their messages already say what, where and what next, so they
/// are passed on; what is decided here is the kind, and with it the exit code.
/// </summary>
public static class NodeFailure
{
    /// <summary>The failure as a user sees it; false for anything that is not an expected failure of a part, which must stay what it is.</summary>
    public static bool TryTranslate(Exception exception, [NotNullWhen(true)] out NodeException? failure)
    {
        failure = exception switch
        {
            NodeException same => same,
            StoreException store => new NodeException(Kind(store.Error), store.Message, store),
            TransferException transfer => new NodeException(Kind(transfer.Error), transfer.Message, transfer),
            TrackerException { Error: TrackerError.Unreachable } tracker => new NodeException(
                NodeError.Deadline,
                $"{tracker.Message}; transfers under way go on without a tracker, new requests need one: start it with `p2pw tracker`, or check the --tracker address",
                tracker),
            TrackerException tracker => new NodeException(Kind(tracker.Error), tracker.Message, tracker),
            EngineException engine => new NodeException(Kind(engine.Error), engine.Traceback is null ? engine.Message : $"{engine.Message}\n{engine.Traceback}", engine),
            ManifestException manifest => new NodeException(NodeError.Integrity, manifest.Message, manifest),
            UnauthorizedAccessException denied => new NodeException(NodeError.Usage, denied.Message, denied),
            IOException io when Errno.IsDiskFull(io) => new NodeException(NodeError.DiskFull, $"{io.Message}; free some room and ask again", io),
            IOException io => new NodeException(NodeError.Failed, io.Message, io),
            _ => null,
        };
        return failure is not null;
    }

    private static NodeError Kind(StoreError error) => error switch
    {
        StoreError.Full => NodeError.DiskFull,
        StoreError.WrongDigest or StoreError.Corrupt => NodeError.Integrity,
        StoreError.Locked => NodeError.NotAllowed,
        StoreError.NotAllowed => NodeError.Usage,
        _ => NodeError.Failed,
    };

    private static NodeError Kind(EngineError error) => error switch
    {
        EngineError.Deadline => NodeError.Deadline,
        EngineError.NotSupported => NodeError.Usage,
        _ => NodeError.Failed,
    };

    private static NodeError Kind(TransferError error) => error switch
    {
        TransferError.NoSources => NodeError.NoPeers,
        TransferError.Listen => NodeError.Usage,
        TransferError.NotAllowed => NodeError.NotAllowed,
        _ => NodeError.Failed,
    };

    private static NodeError Kind(TrackerError error) => error switch
    {
        TrackerError.Refused or TrackerError.NotAllowed or TrackerError.Locked => NodeError.NotAllowed,
        TrackerError.Listen => NodeError.Usage,
        _ => NodeError.Failed,
    };
}
