namespace P2PWeights.Client.Engines;

/// <summary>How long engines are waited for.</summary>
internal sealed record EngineOptions
{
    /// <summary>The clock of <see cref="OpenTimeout"/>, <see cref="LoadTimeout"/> and <see cref="FinishTimeout"/>.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>From the request to begin until a rank has connected and opened the slot memory; an engine that serves may first finish what it is computing.</summary>
    public TimeSpan OpenTimeout { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>For one bucket.</summary>
    public TimeSpan LoadTimeout { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>For all that follows the last bucket: letting go of the slot memory, whatever the rank does then, and the engine's report of the end. Quantisation of a large model takes minutes.</summary>
    public TimeSpan FinishTimeout { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>For the whole update, as the engine's own request to update sees it.</summary>
    public TimeSpan UpdateTimeout { get; init; } = TimeSpan.FromHours(1);

    /// <summary>
    /// For the answer that is outstanding when an update is aborted, for the engine's end of that update, without which it refuses the next one, and for what an engine that left the update says of it; a rank that does not answer for that long is told later
    /// (<see cref="FarewellTimeout"/>), and the update ends without it.
    /// </summary>
    public TimeSpan AbortTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long a rank that could not be told that its update has failed is waited for: longer than any step may take, so that one that is only slow is not left waiting for good.</summary>
    public TimeSpan FarewellTimeout { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary>For the digests of one batch of tensors that the engine reads back.</summary>
    public TimeSpan HashTimeout { get; init; } = TimeSpan.FromMinutes(5);
}
