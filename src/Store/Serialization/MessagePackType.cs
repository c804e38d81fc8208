using System.Diagnostics.CodeAnalysis;

namespace P2PWeights.Store.Serialization;

/// <summary>The kinds of values that MessagePack knows.</summary>
[SuppressMessage("Naming", "CA1720", Justification = "The names of the specification and of the package MessagePack.")]
public enum MessagePackType : byte
{
    /// <summary>The byte 0xc1, which starts no value.</summary>
    Unknown,
    Integer,
    Nil,
    Boolean,
    Float,
    String,
    Binary,
    Array,
    Map,
    Extension,
}
