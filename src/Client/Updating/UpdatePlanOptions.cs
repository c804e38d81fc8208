namespace P2PWeights.Client.Updating;

/// <summary>How much GPU memory an update may take, and in which pieces.</summary>
internal sealed record UpdatePlanOptions
{
    /// <summary>Bytes of a slot, at most; a tensor that is larger makes the slots as large. 1 GiB.</summary>
    public long SlotBytes { get; init; } = 1L << 30;

    /// <summary>Slots per GPU, at most. Three let copying, exchanging and loading overlap; one more takes up jitter.</summary>
    public int Slots { get; init; } = 4;

    /// <summary>The part of a GPU's free memory that slots may take, 0 to 1; the engine needs some while it loads.</summary>
    public double MemoryFraction { get; init; } = 0.9;
}
