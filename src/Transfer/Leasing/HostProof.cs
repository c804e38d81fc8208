using System.Security.Cryptography;

namespace P2PWeights.Transfer.Leasing;

/// <summary>
/// Proof that a peer has its arena on this host. The caller sends a challenge; the peer answers with the path of its arena and HMAC-SHA256 (RFC 2104), keyed with the
/// 16 bytes of the arena's nonce as they stand in its header, over <c>p2pweights host 1</c>, the challenge and the peer's node id. The caller opens the path itself,
/// reads the nonce there and computes the same. The nonce never crosses the wire; the node id keeps a peer from passing off another node's answer as its own.
/// </summary>
internal static class HostProof
{
    /// <summary>Bytes of a challenge.</summary>
    public const int ChallengeBytes = 32;

    /// <summary>Bytes of a proof.</summary>
    public const int ProofBytes = HMACSHA256.HashSizeInBytes;

    private static ReadOnlySpan<byte> Label => "p2pweights host 1"u8;

    public static byte[] NewChallenge() => RandomNumberGenerator.GetBytes(ChallengeBytes);

    /// <param name="nonce">The nonce in the header of the arena file.</param>
    /// <param name="node">Who proves: the listener's node id.</param>
    public static byte[] Compute(Guid nonce, ReadOnlySpan<byte> challenge, Guid node)
    {
        using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, nonce.ToByteArray());
        mac.AppendData(Label);
        mac.AppendData(challenge);
        mac.AppendData(node.ToByteArray(bigEndian: true));
        return mac.GetHashAndReset();
    }

    /// <summary>Whether the peer's proof was made with the nonce that stands in the file which it named. Compares in constant time.</summary>
    public static bool Matches(ReadOnlySpan<byte> proof, Guid nonce, ReadOnlySpan<byte> challenge, Guid node) =>
        CryptographicOperations.FixedTimeEquals(proof, Compute(nonce, challenge, node));
}
