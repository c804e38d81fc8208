using P2PWeights.Store.Serialization;

namespace P2PWeights.Transfer.Wire;

/// <summary>What a connection carries.</summary>
internal enum LaneKind : byte
{
    /// <summary>Subscriptions and pings. One per session.</summary>
    Control = 0,

    /// <summary>Fetches and their payload. Several per session.</summary>
    Data = 1,

    /// <summary>Leases for one-sided reads, and what such paths need to set themselves up. At most one per session.</summary>
    Lease = 2,
}

/// <summary>Who calls, and for what.</summary>
/// <param name="Node">The caller's node id.</param>
/// <param name="Name">The caller's name for people.</param>
/// <param name="Lane">What the connection will carry.</param>
/// <param name="Keyed">Whether the caller has a cluster key.</param>
/// <param name="Nonce"><see cref="ClusterProof.NonceBytes"/> random bytes, fresh for this connection.</param>
internal sealed record HelloMessage(Guid Node, string Name, LaneKind Lane, bool Keyed, ReadOnlyMemory<byte> Nonce) : IFrameMessage<HelloMessage>
{
    public static FrameType Type => FrameType.Hello;

    public static int Fields => 5;

    public void Write(ref MessagePackWriter writer)
    {
        PeerFields.Write(ref writer, Node, Name);
        writer.Write((int)Lane);
        writer.Write(Keyed);
        writer.Write(Nonce.Span);
    }

    public static HelloMessage Read(ref MessagePackReader reader)
    {
        var (node, name) = PeerFields.Read(ref reader);
        var lane = (LaneKind)FrameCodec.ReadInt32(ref reader, 0, (int)LaneKind.Lease, "the kind of lane");
        return new HelloMessage(node, name, lane, reader.ReadBoolean(), FrameCodec.ReadExact(ref reader, ClusterProof.NonceBytes, "the nonce").ToArray());
    }
}

/// <summary>Who listens.</summary>
/// <param name="Node">The listener's node id.</param>
/// <param name="Name">The listener's name for people.</param>
/// <param name="Nonce"><see cref="ClusterProof.NonceBytes"/> random bytes, fresh for this connection.</param>
/// <param name="Proof">The listener's proof; empty without a key.</param>
internal sealed record HelloAckMessage(Guid Node, string Name, ReadOnlyMemory<byte> Nonce, ReadOnlyMemory<byte> Proof) : IFrameMessage<HelloAckMessage>
{
    public static FrameType Type => FrameType.HelloAck;

    public static int Fields => 4;

    public void Write(ref MessagePackWriter writer)
    {
        PeerFields.Write(ref writer, Node, Name);
        writer.Write(Nonce.Span);
        writer.Write(Proof.Span);
    }

    public static HelloAckMessage Read(ref MessagePackReader reader)
    {
        var (node, name) = PeerFields.Read(ref reader);
        var nonce = FrameCodec.ReadExact(ref reader, ClusterProof.NonceBytes, "the nonce").ToArray();
        return new HelloAckMessage(node, name, nonce, ProofMessage.ReadProof(ref reader));
    }
}

/// <summary>The caller's proof; empty without a key.</summary>
internal sealed record ProofMessage(ReadOnlyMemory<byte> Proof) : IFrameMessage<ProofMessage>
{
    public static FrameType Type => FrameType.Proof;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer) => writer.Write(Proof.Span);

    public static ProofMessage Read(ref MessagePackReader reader) => new(ReadProof(ref reader));

    internal static ReadOnlyMemory<byte> ReadProof(ref MessagePackReader reader)
    {
        var proof = reader.ReadBytes();
        return proof is { Length: 0 or ClusterProof.ProofBytes } bytes
            ? bytes.FirstSpan.ToArray()
            : throw FrameCodec.Violation($"a proof has neither 0 nor {ClusterProof.ProofBytes} bytes");
    }
}

/// <summary>Why a connection is closed.</summary>
internal sealed record ErrorMessage(ErrorCode Code, string Text) : IFrameMessage<ErrorMessage>
{
    private const int MaxTextLength = 1000;

    public static FrameType Type => FrameType.Error;

    public static int Fields => 2;

    public void Write(ref MessagePackWriter writer)
    {
        writer.Write((int)Code);
        writer.Write(Text.Length <= MaxTextLength ? Text : Text[..MaxTextLength]);
    }

    public static ErrorMessage Read(ref MessagePackReader reader)
    {
        var code = (ErrorCode)FrameCodec.ReadInt32(ref reader, 0, ushort.MaxValue, "the error code");
        return new ErrorMessage(code, StrangersText.Clean(reader.ReadString() ?? "", MaxTextLength));
    }
}

/// <summary>Kinds of <see cref="ErrorMessage"/>; unknown numbers are treated as <see cref="Protocol"/>.</summary>
internal enum ErrorCode
{
    /// <summary>The other side broke the protocol.</summary>
    Protocol = 1,

    /// <summary>The other side did not prove the cluster key, is banned, or is this node itself.</summary>
    NotAllowed = 2,
}

/// <summary>Node id and name as they stand in messages.</summary>
file static class PeerFields
{
    public static void Write(ref MessagePackWriter writer, Guid node, string name)
    {
        Span<byte> id = stackalloc byte[16];
        node.TryWriteBytes(id, bigEndian: true, out _);
        writer.Write(id);
        writer.Write(name.Length <= WireLimits.MaxNameLength ? name : name[..WireLimits.MaxNameLength]);
    }

    public static (Guid Node, string Name) Read(ref MessagePackReader reader)
    {
        var node = new Guid(FrameCodec.ReadExact(ref reader, 16, "a node id"), bigEndian: true);
        return (node, StrangersText.Clean(reader.ReadString() ?? "", WireLimits.MaxNameLength));
    }
}
