namespace P2PWeights.Cli.Output;

/// <summary>Keeps the newest report; who shows it looks when it likes. Unlike <see cref="Progress{T}"/> it never reports late or out of order.</summary>
internal sealed class Latest<T> : IProgress<T>
{
    private Box? _box;

    /// <summary>The newest value, or default before the first.</summary>
    public T? Value => Volatile.Read(ref _box) is { } box ? box.Value : default;

    public void Report(T value) => Volatile.Write(ref _box, new Box(value));

    private sealed record Box(T Value);
}
