using System.Buffers;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;

namespace P2PWeights.Tracker.Discovery;

/// <summary>
/// What the TXT record of a tracker says (docs/protocol.md). Nobody vouches for a multicast packet, and a node shows its cluster token to the tracker that it talks to; so a tracker
/// with a cluster key proves, for each address at which it wants to be called, that somebody with the key named that very address.
/// </summary>
internal static class TrackerText
{
    public const string Version = "txtvers";
    public const string Scheme = "scheme";
    public const string Path = "path";
    public const string Cluster = "cluster";
    public const string Proof = "proof";

    /// <summary>Longest name of a cluster, in bytes of UTF-8.</summary>
    public const int MaxClusterBytes = 63;

    /// <summary>Most addresses of one link that are advertised: what their proofs have room for.</summary>
    public const int MaxAddresses = 8;

    private const int ProofBytes = 16;
    private const int MaxPathLength = 200;

    private static readonly SearchValues<char> PathCharacters = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/_~-");

    /// <summary>The strings of a tracker at these addresses.</summary>
    public static IEnumerable<string> Compose(string cluster, string? clusterKey, ushort port, IEnumerable<IPAddress> addresses)
    {
        yield return $"{Version}=1";
        yield return $"{Scheme}={Uri.UriSchemeHttp}";
        yield return $"{Path}=/";
        yield return $"{Cluster}={cluster}";
        if (clusterKey is not null)
        {
            yield return $"{Proof}={Convert.ToBase64String([.. addresses.SelectMany(address => ProofOf(clusterKey, cluster, address, port))])}";
        }
    }

    /// <summary>Whether the proofs in a text hold one for an address. Takes as long for a near miss as for any other.</summary>
    public static bool Proves(string? proofs, string clusterKey, string cluster, IPAddress address, ushort port)
    {
        Span<byte> bytes = stackalloc byte[byte.MaxValue];
        if (proofs is null || !Convert.TryFromBase64String(proofs, bytes, out var length))
        {
            return false;
        }

        var expected = ProofOf(clusterKey, cluster, address, port);
        var found = false;
        for (var at = 0; at + ProofBytes <= length; at += ProofBytes)
        {
            found |= CryptographicOperations.FixedTimeEquals(bytes.Slice(at, ProofBytes), expected);
        }

        return found;
    }

    /// <summary>The base address of a tracker; null when its text asks for something that this version does not do.</summary>
    public static Uri? AddressOf(IReadOnlyDictionary<string, string> pairs, IPAddress address, ushort port)
    {
        var path = pairs.GetValueOrDefault(Path, "/");
        if (port == 0 || pairs.GetValueOrDefault(Scheme, Uri.UriSchemeHttp) != Uri.UriSchemeHttp
            || path.Length > MaxPathLength || !path.StartsWith('/') || path.AsSpan().ContainsAnyExcept(PathCharacters))
        {
            return null;
        }

        var host = address.AddressFamily == AddressFamily.InterNetworkV6 ? $"[{address}]" : address.ToString();
        return new Uri($"{Uri.UriSchemeHttp}://{host}:{port}{path}{(path.EndsWith('/') ? "" : "/")}");
    }

    /// <summary>What is wrong with the name of a cluster; null for nothing.</summary>
    public static string? ClusterProblem(string name) =>
        Encoding.UTF8.GetByteCount(name) is 0 or > MaxClusterBytes || name.Any(char.IsControl) || name != name.Trim()
            ? $"the name of a cluster has 1 to {MaxClusterBytes} bytes, no control characters, and no space at its ends"
            : null;

    private static byte[] ProofOf(string clusterKey, string cluster, IPAddress address, ushort port)
    {
        byte[] named = [.. "p2pweights discovery 1\0"u8, .. Encoding.UTF8.GetBytes(cluster), 0, .. address.GetAddressBytes(), (byte)(port >> 8), (byte)port];
        return HMACSHA256.HashData(Encoding.UTF8.GetBytes(clusterKey), named)[..ProofBytes];
    }
}
