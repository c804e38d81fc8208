namespace P2PWeights.Transfer.Pulling.Limits;

/// <summary>How many shards of a pull are in each stage now. Changed by the fetches, read by the pull's loop; thread-safe.</summary>
internal sealed class StageCounts(int paths)
{
    private readonly int[] _counts = new int[FirstPath + paths];

    private const int FirstPath = 3;

    /// <summary>Stages there are: choosing, room, verify, then one per path.</summary>
    public int Length => _counts.Length;

    public int this[int stage] => Volatile.Read(ref _counts[stage]);

    /// <summary>The place of a fetch's stage.</summary>
    /// <param name="path">With <see cref="FetchStage.Asked"/>: which path.</param>
    public static int IndexOf(FetchStage stage, int path) => stage switch
    {
        FetchStage.Choosing => 0,
        FetchStage.Opening => 1,
        FetchStage.Committing => 2,
        _ => FirstPath + path,
    };

    /// <summary>The term and path that a place stands for.</summary>
    public static (string Term, int Path) TermOf(int stage) => stage switch
    {
        0 => (PullTerms.Proof, -1),
        1 => (PullTerms.Room, -1),
        2 => (PullTerms.Verify, -1),
        _ => (PullTerms.Wire, stage - FirstPath),
    };

    public void Enter(int stage) => Interlocked.Increment(ref _counts[stage]);

    public void Leave(int stage) => Interlocked.Decrement(ref _counts[stage]);
}
