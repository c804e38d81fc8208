using System.Collections.Immutable;

namespace P2PWeights.Client.Engines;

/// <summary>
/// The conversation with one rank of an engine (one process, one device) during one update: <see cref="OpenAsync"/>, any number of <see cref="LoadAsync"/>,
/// <see cref="ReleaseAsync"/>, <see cref="FinishAsync"/>, one after another and by one caller. Every wait has a deadline (<see cref="EngineOptions"/>), and an
/// engine process that dies ends it at once. After any failure nothing but <see cref="AbortAsync"/> and disposal is left.
/// </summary>
/// <remarks>
/// All methods throw <see cref="EngineException"/>, whose message names the engine and the rank, or <see cref="OperationCanceledException"/> when the caller
/// cancelled. Weights are changed in place: an engine whose update did not finish holds parts of both checkpoints.
/// </remarks>
internal interface IEngineChannel : IAsyncDisposable
{
    /// <summary>The engine and the rank, for reports and messages, e.g. <c>vllm+http://127.0.0.1:8000 GPU-1b2c…</c>.</summary>
    string Name { get; }

    /// <summary>The rank's device: the slot memory must lie there.</summary>
    EngineDevice Device { get; }

    /// <summary>Waits until the engine has connected, and completes when it has opened the slot memory.</summary>
    Task OpenAsync(SlotMemory memory, CancellationToken cancellationToken);

    /// <summary>
    /// Hands over a bucket; completes when the engine has loaded it, and then its bytes may be overwritten. They must be in place before the call: for a
    /// GPU that means that the copies into the slot have completed, not that they are queued.
    /// </summary>
    /// <param name="tensors">What the bucket holds; empty is allowed.</param>
    Task LoadAsync(ImmutableArray<TensorRecord> tensors, CancellationToken cancellationToken);

    /// <summary>Says that no bucket follows; completes when the engine has let go of the slot memory, which its owner may free then, so that what comes next has room.</summary>
    Task ReleaseAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Completes when the rank has done what it does after its last bucket (quantisation, for instance), and the whole engine, with all its ranks, has reported
    /// success. Only then is the update done.
    /// </summary>
    Task FinishAsync(CancellationToken cancellationToken);

    /// <summary>
    /// Tells the rank that the update has failed, which it raises as an exception, so that the engine knows that its weights are torn. Waits a short while for
    /// an answer that is outstanding, because nothing can be said before; a rank that is still at it then, or has not connected yet, is told later. Never throws for what the engine does. After <see cref="FinishAsync"/> it does nothing.
    /// </summary>
    /// <param name="reason">What the engine shows to its users.</param>
    Task AbortAsync(string reason);
}
