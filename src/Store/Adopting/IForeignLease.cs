namespace P2PWeights.Store.Adopting;

/// <summary>A promise, by another node, that bytes in its memory stay where they are. Disposing gives it back.</summary>
public interface IForeignLease : IDisposable
{
    /// <summary>Whether the promise holds now. Asked after every read: what was read counts only when it still does. Must not block.</summary>
    bool IsValid { get; }
}
