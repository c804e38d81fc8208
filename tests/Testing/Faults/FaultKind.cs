namespace P2PWeights.Testing.Faults;

/// <summary>What a line does to a connection at one point of its bytes.</summary>
public enum FaultKind
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Both ends get a RST: what a crashed host or a firewall does.</summary>
    Reset,

    /// <summary>One byte arrives with all its bits flipped; everything behind it is right again.</summary>
    Corrupt,

    /// <summary>Nothing moves any more and nobody is told, as when a cable is pulled. Held bytes go on when the line changes.</summary>
    Blackhole,

    /// <summary>This direction ends (FIN), the other one goes on.</summary>
    HalfClose,

    /// <summary>Both directions end in order (FIN): what a process does that exits cleanly in the middle.</summary>
    Cut,
}

/// <summary>How one direction of a <see cref="FaultProxy"/> treats bytes. Set whole; a change takes effect at once, on running connections too.</summary>
public sealed record FaultLine
{
    /// <summary>A line without faults.</summary>
    public static FaultLine Clear { get; } = new();

    /// <summary>Each byte arrives this much later; the line itself is not slower.</summary>
    public TimeSpan Delay { get; init; }

    /// <summary>What the direction carries per second, over all connections; 0 for no limit.</summary>
    public long BytesPerSecond { get; init; }

    /// <summary>What happens at <see cref="AfterBytes"/>, once per connection.</summary>
    public FaultKind Fault { get; init; }

    /// <summary>
    /// Bytes of a connection that pass before the fault, counted from the moment when this line was set or the connection was made, whichever is later.
    /// For <see cref="FaultKind.Corrupt"/> the offset of the byte.
    /// </summary>
    public long AfterBytes { get; init; }
}
