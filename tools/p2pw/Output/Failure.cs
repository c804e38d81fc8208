using P2PWeights.Cli.Synth;
using P2PWeights.Client;
using P2PWeights.Store;
using P2PWeights.Store.Content;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Output;

/// <summary>How a command failed: the kind, which is the exit code, and the message.</summary>
/// <param name="Error">Kind.</param>
/// <param name="Message">What, which, what was done, what to do next.</param>
/// <param name="Trace">The exception with its stack, when <c>P2PW_DEBUG=1</c>.</param>
internal sealed record Failure(NodeError Error, string Message, string? Trace)
{
    /// <summary>ENOSPC and EDQUOT of Linux, as IOException.HResult carries them.</summary>
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    public int ExitCode => (int)Error;

    /// <summary>Sorts any exception into a kind. What nobody foresaw is <see cref="NodeError.Failed"/> and says how to learn more.</summary>
    public static Failure Of(Exception exception)
    {
        var trace = Environment.GetEnvironmentVariable("P2PW_DEBUG") == "1" ? exception.ToString() : null;
        return exception switch
        {
            NodeException node => new(node.Error, node.Message, trace),
            TrackerException tracker => new(KindOf(tracker.Error), tracker.Message, trace),
            StoreException store => new(KindOf(store.Error), store.Message, trace),
            TransferException transfer => new(KindOf(transfer.Error), transfer.Message, trace),
            SynthException => new(NodeError.Usage, exception.Message, trace),
            ManifestException => new(NodeError.Integrity, exception.Message, trace),
            IOException { HResult: NoSpace or QuotaExceeded } => new(NodeError.DiskFull, $"{exception.Message} Free some space, then run the same command again.", trace),
            FileNotFoundException or DirectoryNotFoundException => new(NodeError.Usage, exception.Message, trace),
            UnauthorizedAccessException => new(NodeError.NotAllowed, exception.Message, trace),
            IOException => new(NodeError.Failed, exception.Message, trace),
            _ => new(NodeError.Failed, $"unexpected {exception.GetType().Name}: {exception.Message}\nThis is a fault of p2pw. P2PW_DEBUG=1 prints where it happened.", trace),
        };
    }

    private static NodeError KindOf(TrackerError error) => error switch
    {
        TrackerError.Unreachable => NodeError.Deadline,
        TrackerError.NotAllowed or TrackerError.Locked => NodeError.NotAllowed,
        TrackerError.Listen => NodeError.Usage,
        _ => NodeError.Failed,
    };

    private static NodeError KindOf(StoreError error) => error switch
    {
        StoreError.Full => NodeError.DiskFull,
        StoreError.WrongDigest or StoreError.Corrupt => NodeError.Integrity,
        StoreError.Locked => NodeError.NotAllowed,
        StoreError.NotAllowed => NodeError.Usage,
        _ => NodeError.Failed,
    };

    private static NodeError KindOf(TransferError error) => error switch
    {
        TransferError.NoSources => NodeError.NoPeers,
        TransferError.NotAllowed => NodeError.NotAllowed,
        TransferError.Listen => NodeError.Usage,
        _ => NodeError.Failed,
    };
}
