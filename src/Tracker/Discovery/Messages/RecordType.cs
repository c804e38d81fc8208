namespace P2PWeights.Tracker.Discovery.Messages;

/// <summary>Types of records that discovery understands; others pass through as their bytes.</summary>
internal enum RecordType : ushort
{
    /// <summary>An IPv4 address of a host.</summary>
    A = 1,

    /// <summary>Another name: of an instance, under the name of its service.</summary>
    Pointer = 12,

    /// <summary>Strings about an instance.</summary>
    Text = 16,

    /// <summary>An IPv6 address of a host.</summary>
    Aaaa = 28,

    /// <summary>Host and port of an instance (SRV).</summary>
    Service = 33,

    /// <summary>Which types a name has, and so which it has not (NSEC; RFC 6762 section 6.1).</summary>
    Nsec = 47,

    /// <summary>In questions: all of them.</summary>
    Any = 255,
}
