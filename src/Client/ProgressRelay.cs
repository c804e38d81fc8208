namespace P2PWeights.Client;

/// <summary>Passes progress on in the reporting thread. <see cref="Progress{T}"/> posts to the thread pool, where reports overtake each other.</summary>
internal sealed class ProgressRelay<T>(Action<T> handler) : IProgress<T>
{
    public void Report(T value) => handler(value);
}
