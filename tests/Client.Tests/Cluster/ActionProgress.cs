namespace P2PWeights.Client.Tests.Cluster;

/// <summary>Runs in the reporting thread, so that a test can act at that very moment.</summary>
internal sealed class ActionProgress<T>(Action<T> action) : IProgress<T>
{
    public void Report(T value) => action(value);
}
