using P2PWeights.Store.Adopting;

namespace P2PWeights.Store.Tests.Adopting;

/// <summary>The owner's promise of one range, as the test wants it.</summary>
internal sealed class Promise : IForeignLease
{
    private int _returned;

    public bool IsValid { get; set; } = true;

    /// <summary>How often it was given back.</summary>
    public int Returned => Volatile.Read(ref _returned);

    public void Dispose() => Interlocked.Increment(ref _returned);
}
