namespace P2PWeights.Transfer.Swarms;

/// <summary>A shard on its way.</summary>
/// <param name="Source">Whom it was asked of.</param>
/// <param name="Since">When.</param>
/// <param name="Queued">Bytes that the source had to send then, this shard's included.</param>
internal readonly record struct Flight(PlannedSource Source, int Ordinal, int Size, TimeSpan Since, long Queued)
{
    /// <summary>Its bytes are here, and are being verified.</summary>
    public bool IsReceived { get; init; }

    /// <summary>
    /// How long it may still take. A source with a known rate is expected to have sent what was queued by a certain time; one that is overdue, or never sent
    /// anything, is expected to need as long again as it has been overdue or silent.
    /// </summary>
    public TimeSpan Remaining(TimeSpan now)
    {
        var elapsed = now - Since;
        return Source.Rate == 0 ? elapsed : (TimeSpan.FromSeconds(Queued / Source.Rate) - elapsed).Duration();
    }
}
