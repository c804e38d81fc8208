namespace P2PWeights.Transfer.Pulling;

/// <summary>
/// How long a pull that waits for peers goes on waiting. Pure, and owned by the pull's loop. Bytes, and shards on their way through this node, are life. A source
/// that says Busy is there, and will have a slot again: so it is waited for longer than for nobody, but not for ever.
/// </summary>
/// <param name="noSource">Longest time without a sign of any source.</param>
internal sealed class PullPatience(TimeSpan noSource)
{
    /// <summary>Times the limit without any source that a pull waits whose sources all say Busy: five minutes by default, many times what a queue for slots takes.</summary>
    public const int BusyFactor = 10;

    private TimeSpan _life;
    private TimeSpan _busy;

    /// <summary>Bytes came, or shards are on their way through this node.</summary>
    public void Lives(TimeSpan now) => _life = now;

    /// <summary>A source said that it has no free slot.</summary>
    public void Busy(TimeSpan now) => _busy = now;

    /// <summary>Why the pull is to be given up now, as the end of a sentence; null while it goes on.</summary>
    public string? Verdict(TimeSpan now)
    {
        var waited = now - _life;
        return waited <= noSource || (now - _busy <= noSource && waited <= BusyFactor * noSource) ? null
            : now - _busy <= noSource ? $"no peer had a free upload slot for {waited.TotalSeconds:0.#} s"
            : $"no peer sent any for {waited.TotalSeconds:0.#} s";
    }
}
