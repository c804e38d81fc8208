namespace P2PWeights.Store.Serialization;

/// <summary>
/// What a <see cref="MessagePackReader"/> accepts. Independently of these, a length is never believed beyond the bytes that are there.
/// </summary>
public sealed record MessagePackLimits
{
    /// <summary>Limits for messages between processes of one cluster.</summary>
    public static MessagePackLimits Default { get; } = new();

    /// <summary>Arrays and maps inside each other.</summary>
    public int MaxDepth { get; init; } = 32;

    /// <summary>Bytes of one string or binary.</summary>
    public int MaxBytes { get; init; } = 64 << 20;

    /// <summary>Elements of one array, or entries of one map.</summary>
    public int MaxElements { get; init; } = 16 << 20;
}
