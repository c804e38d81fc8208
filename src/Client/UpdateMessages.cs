using P2PWeights.Store.Content;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>A checkpoint to bring into running engines.</summary>
/// <param name="Checkpoint"><c>name@version</c> or <c>name@tag</c>.</param>
/// <param name="Engines">Their URLs.</param>
public sealed record UpdateRequest(string Checkpoint, IReadOnlyList<string> Engines)
{
    /// <summary>The least <see cref="SlotBytes"/>: below it an update is nothing but telling the engine.</summary>
    public const long MinSlotBytes = 1L << 20;

    /// <summary>The most <see cref="Slots"/>.</summary>
    public const int MaxSlots = 64;

    /// <summary>The shortest <see cref="DeviceTimeout"/>: one that healthy copies do not keep gives up a good GPU, and its slots with it until the node ends.</summary>
    public static readonly TimeSpan MinDeviceTimeout = TimeSpan.FromSeconds(1);

    /// <summary>The longest <see cref="DeviceTimeout"/>.</summary>
    public static readonly TimeSpan MaxDeviceTimeout = TimeSpan.FromHours(1);

    /// <summary>How GPUs get each other's slices; see <see cref="BroadcastModes"/>.</summary>
    public string Broadcast { get; init; } = BroadcastModes.Peer;

    /// <summary>Bytes of a slot, at most, unless a tensor is larger; <see cref="MinSlotBytes"/> or more. 1 GiB.</summary>
    public long SlotBytes { get; init; } = 1L << 30;

    /// <summary>Slots per GPU, at most; 1 to <see cref="MaxSlots"/>.</summary>
    public int Slots { get; init; } = 4;

    /// <summary>The part of the GPUs' free memory that slots may take, above 0 and at most 1.</summary>
    public double MemoryFraction { get; init; } = 0.9;

    /// <summary>How long a copy between host and GPU, or between GPUs, may take before the GPU is left behind; <see cref="MinDeviceTimeout"/> to <see cref="MaxDeviceTimeout"/>.</summary>
    public TimeSpan DeviceTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Whether to wait for an update that runs already; otherwise it is refused.</summary>
    public bool Wait { get; init; }

    /// <summary>Whether engines that were updated are to read every tensor back, to be compared with the checkpoint.</summary>
    public bool Verify { get; init; }
}

/// <summary>The words of <see cref="UpdateRequest.Broadcast"/>.</summary>
public static class BroadcastModes
{
    /// <summary>Copies from GPU to GPU, each on its own: one that stalls is left behind, the others go on.</summary>
    public const string Peer = "peer";

    /// <summary>Collective operations of NCCL: one GPU that stalls stops all.</summary>
    public const string Nccl = "nccl";
}

/// <summary>How far an update is.</summary>
/// <param name="Buckets">Buckets that every engine has answered for.</param>
/// <param name="BucketsTotal">Buckets; 0 while it waits for another update of the node.</param>
/// <param name="BytesTotal">Bytes of all tensors.</param>
/// <param name="Pull">How far the pull under it is; null while nothing is pulled.</param>
/// <param name="BucketsVerified">Buckets that were read back and compared; null before that begins.</param>
public sealed record UpdateProgress(int Buckets, int BucketsTotal, long BytesTotal, PullProgress? Pull, int? BucketsVerified = null);

/// <summary>What an update did.</summary>
/// <param name="Checkpoint"><c>name@version</c>, tags resolved.</param>
/// <param name="Manifest">Digest of the manifest.</param>
/// <param name="Bytes">Bytes of the tensors: what every engine was handed.</param>
/// <param name="Tensors">Tensors.</param>
/// <param name="Buckets">Buckets.</param>
/// <param name="SlotBytes">Bytes of a slot.</param>
/// <param name="Slots">Slots per device; with 1 nothing overlaps.</param>
/// <param name="Devices">GPUs, or ranks in the host's memory.</param>
/// <param name="Broadcast">See <see cref="BroadcastModes"/>.</param>
/// <param name="Elapsed">Wall time of the whole.</param>
/// <param name="Stages">How long each stage was at work, in the order in which bytes pass them.</param>
/// <param name="Engines">What became of each engine.</param>
/// <param name="Pull">What was pulled for it; null when nothing had to be.</param>
public sealed record UpdateReport(
    string Checkpoint, Digest Manifest, long Bytes, int Tensors, int Buckets, long SlotBytes, int Slots, int Devices, string Broadcast, TimeSpan Elapsed,
    IReadOnlyList<UpdateStage> Stages, IReadOnlyList<EngineReport> Engines, PullReport? Pull)
{
    /// <summary>How long reading back and comparing took, after <see cref="Elapsed"/>; null when it was not asked for.</summary>
    public TimeSpan? VerifyElapsed { get; init; }

    /// <summary>Whether the update, or the reading back after it, was cancelled before its end; <see cref="Engines"/> says what each engine holds.</summary>
    public bool Cancelled { get; init; }

    /// <summary>What broke the update off for every engine that had not ended; null when nothing did, or when it was cancelled. An engine that failed alone has its own <see cref="EngineReport.Reason"/>.</summary>
    public UpdateFailure? Failure { get; init; }

    /// <summary>Whether every engine acknowledged every bucket and everything that follows the last.</summary>
    public bool IsComplete() => Engines.All(engine => engine.State == EngineStates.Updated);

    /// <summary>Whether every engine was found to hold the checkpoint, by reading it back; null when that was not asked for.</summary>
    public bool? IsVerified() => VerifyElapsed is null ? null : Engines.All(engine => engine.Verification?.Outcome == VerificationOutcomes.Verified);

    /// <summary>The stage that the update waited for most.</summary>
    public UpdateStage Limit() => Stages.MaxBy(stage => stage.Busy)!;

    /// <summary>Bytes of the model per second; 0 when no engine holds it.</summary>
    public double BytesPerSecond() => Engines.Any(engine => engine.State == EngineStates.Updated) ? Bytes / Math.Max(Elapsed.TotalSeconds, 1e-9) : 0;
}

/// <summary>What broke an update off.</summary>
/// <param name="Error">Kind, and with it the exit code of a command.</param>
/// <param name="Message">What, which, and what to do next.</param>
public sealed record UpdateFailure(NodeError Error, string Message);

/// <summary>One stage of an update.</summary>
/// <param name="Name">See <see cref="UpdateStages"/>.</param>
/// <param name="Busy">Time in which at least one bucket, or shard, was in it. Stages overlap: the sum is more than the whole.</param>
public sealed record UpdateStage(string Name, TimeSpan Busy);

/// <summary>The words of <see cref="UpdateStage.Name"/>.</summary>
public static class UpdateStages
{
    /// <summary>Memory is registered, slots are allocated, communicators made.</summary>
    public const string Prepare = "prepare";

    /// <summary>Shards come from peers.</summary>
    public const string Pull = "pull";

    /// <summary>Engines open the slots; the first buckets are copied meanwhile.</summary>
    public const string Open = "open";

    /// <summary>From the host's memory to the devices.</summary>
    public const string Copy = "copy";

    /// <summary>From device to device.</summary>
    public const string Exchange = "exchange";

    /// <summary>Engines load what lies in the slots.</summary>
    public const string Load = "load";

    /// <summary>Engines let go of the slots, and do what follows their last bucket, quantising for instance.</summary>
    public const string Finish = "finish";
}

/// <summary>What became of one engine.</summary>
/// <param name="Name">Its URL.</param>
/// <param name="State">See <see cref="EngineStates"/>.</param>
/// <param name="Reason">Why it is not updated; null when it is.</param>
/// <param name="Traceback">What its own code said about that; null when it said nothing.</param>
/// <param name="Ranks">Its ranks.</param>
public sealed record EngineReport(string Name, string State, string? Reason, string? Traceback, IReadOnlyList<RankReport> Ranks)
{
    /// <summary>What reading back found; null when it was not asked for, or the engine is not updated.</summary>
    public EngineVerification? Verification { get; init; }
}

/// <summary>One rank of an engine.</summary>
/// <param name="Device">Where its weights are.</param>
/// <param name="BucketsLoaded">Buckets that it said it has loaded.</param>
public sealed record RankReport(string Device, int BucketsLoaded);

/// <summary>The words of <see cref="EngineReport.State"/>.</summary>
public static class EngineStates
{
    /// <summary>It holds the checkpoint.</summary>
    public const string Updated = "updated";

    /// <summary>It was handed some of the checkpoint and not all, or failed afterwards: it holds parts of two, was told so, and must be updated again before it serves.</summary>
    public const string Torn = "torn";

    /// <summary>It was handed nothing, and holds what it held.</summary>
    public const string Untouched = "untouched";
}

/// <summary>What an engine holds, read back by itself, against the checkpoint.</summary>
/// <param name="Outcome">See <see cref="VerificationOutcomes"/>.</param>
/// <param name="Equal">Tensors that it holds byte for byte.</param>
/// <param name="Differing">Tensors of which it holds other bytes.</param>
/// <param name="Missing">Tensors that it does not hold, or not as they came.</param>
/// <param name="Reason">Why not every tensor was compared; null when every one was.</param>
public sealed record EngineVerification(string Outcome, int Equal, TensorNames Differing, TensorNames Missing, string? Reason);

/// <summary>Some tensors of a checkpoint.</summary>
/// <param name="Count">How many.</param>
/// <param name="First">The names of the first hundred.</param>
public sealed record TensorNames(int Count, IReadOnlyList<string> First);

/// <summary>The words of <see cref="EngineVerification.Outcome"/>.</summary>
public static class VerificationOutcomes
{
    /// <summary>It holds every tensor, byte for byte.</summary>
    public const string Verified = "verified";

    /// <summary>It holds other bytes of a tensor, or does not hold one.</summary>
    public const string Differs = "differs";

    /// <summary>It cannot read its tensors back: vLLM, SGLang, or a Python process that gave no way to.</summary>
    public const string Unsupported = "unsupported";

    /// <summary>It can, but failed to answer, or the node failed to read its own bytes.</summary>
    public const string Failed = "failed";
}
