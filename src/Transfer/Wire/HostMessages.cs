using P2PWeights.Store.Serialization;
using P2PWeights.Transfer.Leasing;

namespace P2PWeights.Transfer.Wire;

/// <summary>Show me that we share a host.</summary>
/// <param name="Challenge"><see cref="HostProof.ChallengeBytes"/> random bytes, fresh for this question.</param>
internal sealed record ProveHostMessage(ReadOnlyMemory<byte> Challenge) : IFrameMessage<ProveHostMessage>
{
    public static FrameType Type => FrameType.ProveHost;

    public static int Fields => 1;

    public void Write(ref MessagePackWriter writer) => writer.Write(Challenge.Span);

    public static ProveHostMessage Read(ref MessagePackReader reader) =>
        new(FrameCodec.ReadExact(ref reader, HostProof.ChallengeBytes, "the challenge").ToArray());
}

/// <summary>Where the listener's arena is, and that it knows the nonce in it; see <see cref="HostProof"/>.</summary>
/// <param name="ArenaPath">Full path on the listener's host; empty when it has no arena.</param>
/// <param name="Proof"><see cref="HostProof.ProofBytes"/> bytes; empty without an arena.</param>
internal sealed record HostProofMessage(string ArenaPath, ReadOnlyMemory<byte> Proof) : IFrameMessage<HostProofMessage>
{
    public static FrameType Type => FrameType.HostProof;

    public static int Fields => 2;

    public void Write(ref MessagePackWriter writer)
    {
        writer.Write(ArenaPath);
        writer.Write(Proof.Span);
    }

    public static HostProofMessage Read(ref MessagePackReader reader)
    {
        var path = LeaseFields.ReadPath(ref reader);
        return new HostProofMessage(path, FrameCodec.ReadExact(ref reader, path.Length > 0 ? HostProof.ProofBytes : 0, "the proof of the host").ToArray());
    }
}
