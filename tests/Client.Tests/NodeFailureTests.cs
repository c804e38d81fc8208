using P2PWeights.Client.Engines;
using P2PWeights.Store;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client.Tests;

/// <summary>Every failure of a part ends as the kind, and so the exit code, that docs/operations.md lists.</summary>
public sealed class NodeFailureTests
{
    private const int NoSpace = 28; // ENOSPC, as .NET carries it

    [Fact]
    public void Failures_of_the_parts_have_their_kinds()
    {
        Assert.All(Enum.GetValues<StoreError>(), error => Assert.Equal(
            error switch
            {
                StoreError.Full => NodeError.DiskFull,
                StoreError.WrongDigest or StoreError.Corrupt => NodeError.Integrity,
                StoreError.Locked => NodeError.NotAllowed,
                StoreError.NotAllowed => NodeError.Usage,
                StoreError.Io => NodeError.Failed,
                _ => throw new ArgumentOutOfRangeException(nameof(error)),
            },
            KindOf(new StoreException(error, "x"))));
        Assert.All(Enum.GetValues<TransferError>(), error => Assert.Equal(
            error switch
            {
                TransferError.NoSources => NodeError.NoPeers,
                TransferError.Listen => NodeError.Usage,
                TransferError.NotAllowed => NodeError.NotAllowed,
                TransferError.Protocol or TransferError.PathRefused => NodeError.Failed,
                _ => throw new ArgumentOutOfRangeException(nameof(error)),
            },
            KindOf(new TransferException(error, "x"))));
        Assert.All(Enum.GetValues<EngineError>(), error => Assert.Equal(
            error switch
            {
                EngineError.Deadline => NodeError.Deadline,
                EngineError.NotSupported => NodeError.Usage,
                EngineError.Raised or EngineError.Refused or EngineError.Died or EngineError.Protocol => NodeError.Failed,
                _ => throw new ArgumentOutOfRangeException(nameof(error)),
            },
            KindOf(new EngineException(error, "x"))));
        Assert.All(Enum.GetValues<TrackerError>(), error => Assert.Equal(
            error switch
            {
                TrackerError.Unreachable => NodeError.Deadline,
                TrackerError.Refused or TrackerError.NotAllowed or TrackerError.Locked => NodeError.NotAllowed,
                TrackerError.Listen => NodeError.Usage,
                TrackerError.Unavailable or TrackerError.Protocol => NodeError.Failed,
                _ => throw new ArgumentOutOfRangeException(nameof(error)),
            },
            KindOf(new TrackerException(error, "x"))));
    }

    [Fact]
    public void Failures_of_the_file_system_have_their_kinds()
    {
        Assert.Equal(NodeError.DiskFull, KindOf(new IOException("full", NoSpace)));
        Assert.Equal(NodeError.Failed, KindOf(new IOException("broken")));
        Assert.Equal(NodeError.Usage, KindOf(new UnauthorizedAccessException("mode")));
        Assert.False(NodeFailure.TryTranslate(new InvalidOperationException("a bug stays a bug"), out _));
    }

    private static NodeError KindOf(Exception failure) =>
        NodeFailure.TryTranslate(failure, out var translated) ? translated.Error : throw new InvalidOperationException("not translated", failure);
}
