using System.Security.Cryptography;
using System.Text;

namespace P2PWeights.Tracker.Http;

/// <summary>
/// What a request shows to prove that its sender has the cluster key: <c>Authorization: Bearer</c> and the hex of HMAC-SHA256 (RFC 2104) over a fixed text
/// with the key. The key itself never travels.
/// </summary>
internal static class ClusterToken
{
    public const string Scheme = "Bearer";

    /// <summary>The token of a key, 64 lower-case hex digits.</summary>
    public static string Of(string clusterKey) =>
        Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(clusterKey), "p2pweights tracker v1"u8));

    /// <summary>Whether an <c>Authorization</c> header shows the token. Takes as long for a near miss as for any other.</summary>
    public static bool Matches(string? header, string token) =>
        header is not null && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(header), Encoding.UTF8.GetBytes($"{Scheme} {token}"));
}
