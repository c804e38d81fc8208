using System.Security.Cryptography;
using System.Text;

namespace P2PWeights.Transfer.Wire;

/// <summary>
/// Proof that a peer knows the cluster key, without sending it: HMAC-SHA256 (RFC 2104) keyed with the key's UTF-8 bytes over a label, the role, both nonces
/// and both node ids. The role keeps one side's proof from being played back as the other's; the fresh nonces keep old ones from being played back at all.
/// </summary>
internal static class ClusterProof
{
    /// <summary>Bytes of a nonce.</summary>
    public const int NonceBytes = 32;

    /// <summary>Bytes of a proof.</summary>
    public const int ProofBytes = HMACSHA256.HashSizeInBytes;

    private static ReadOnlySpan<byte> Label => "p2pweights peer 1"u8;

    public static byte[] NewNonce() => RandomNumberGenerator.GetBytes(NonceBytes);

    /// <summary>The proof that the listener sends; empty without a key.</summary>
    public static byte[] OfListener(string? key, HelloMessage hello, Guid listener, ReadOnlySpan<byte> listenerNonce) =>
        Compute(key, (byte)'L', hello, listener, listenerNonce);

    /// <summary>The proof that the caller sends; empty without a key.</summary>
    public static byte[] OfCaller(string? key, HelloMessage hello, Guid listener, ReadOnlySpan<byte> listenerNonce) =>
        Compute(key, (byte)'C', hello, listener, listenerNonce);

    /// <summary>Compares in constant time.</summary>
    public static bool Matches(ReadOnlySpan<byte> expected, ReadOnlySpan<byte> given) => CryptographicOperations.FixedTimeEquals(expected, given);

    private static byte[] Compute(string? key, byte role, HelloMessage hello, Guid listener, ReadOnlySpan<byte> listenerNonce)
    {
        if (key is null)
        {
            return [];
        }

        using var mac = IncrementalHash.CreateHMAC(HashAlgorithmName.SHA256, Encoding.UTF8.GetBytes(key));
        mac.AppendData(Label);
        mac.AppendData([role, (byte)hello.Lane]);
        mac.AppendData(hello.Nonce.Span);
        mac.AppendData(listenerNonce);
        mac.AppendData(hello.Node.ToByteArray(bigEndian: true));
        mac.AppendData(listener.ToByteArray(bigEndian: true));
        return mac.GetHashAndReset();
    }
}
