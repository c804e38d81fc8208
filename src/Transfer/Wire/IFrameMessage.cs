using P2PWeights.Store.Serialization;

namespace P2PWeights.Transfer.Wire;

/// <summary>A control message: a MessagePack array of fixed fields. Readers pass over fields added behind the ones they know.</summary>
internal interface IFrameMessage<TSelf>
    where TSelf : IFrameMessage<TSelf>
{
    static abstract FrameType Type { get; }

    /// <summary>Fields that must be there.</summary>
    static abstract int Fields { get; }

    /// <summary>Writes the fields, without the array header.</summary>
    void Write(ref MessagePackWriter writer);

    /// <summary>Reads the fields, after the array header.</summary>
    /// <exception cref="TransferException">A field is out of its range.</exception>
    /// <exception cref="MessagePackSerializationException">A field has another type or is cut off.</exception>
    static abstract TSelf Read(ref MessagePackReader reader);
}
