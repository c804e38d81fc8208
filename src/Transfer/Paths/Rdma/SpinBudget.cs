namespace P2PWeights.Transfer.Paths.Rdma;

/// <summary>
/// How long a thread polls for a completion before it blocks. Blocking costs an interrupt and a wake-up, some 10 µs; polling costs a core. So the thread polls only
/// while work is outstanding, and for about as long as completions have lately kept it waiting: a wait that ended soon lengthens the next, one in vain halves it.
/// Values in, time out; the thread that polls owns it.
/// </summary>
internal sealed class SpinBudget
{
    /// <summary>Longest time polled; a core is never burnt for longer than this per wake-up.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromMicroseconds(80);

    /// <summary>What a budget that had run out begins with again.</summary>
    public static readonly TimeSpan Shortest = TimeSpan.FromMicroseconds(5);

    private TimeSpan _next = Longest / 4;

    /// <summary>For how long to poll now.</summary>
    /// <param name="outstanding">Work asked for that has not completed; nothing is polled for when there is none.</param>
    public TimeSpan Next(int outstanding) => outstanding > 0 ? _next : TimeSpan.Zero;

    /// <summary>A completion came after so long a wait, polled or blocked.</summary>
    public void Came(TimeSpan waited)
    {
        if (waited <= Longest)
        {
            var wanted = 2 * waited;
            _next = wanted > _next ? (wanted < Longest ? wanted : Longest) : _next;
            _next = _next > Shortest ? _next : Shortest;
        }
        else
        {
            _next = _next > Shortest ? _next / 2 : TimeSpan.Zero;
        }
    }
}
