using System.Net;
using System.Text;
using P2PWeights.Client;

namespace P2PWeights.Cli.Settings;

/// <summary>The shared secret of a cluster: where it comes from, and when it is needed. There is no flag for the secret itself: <c>ps</c> shows flags to everybody.</summary>
internal static class ClusterKey
{
    /// <summary>Holds the secret itself.</summary>
    public const string Variable = "P2PW_CLUSTER_KEY";

    private const int MaxBytes = 4096;

    /// <summary>The key in <paramref name="file"/> (without white space around it), else in <see cref="Variable"/>, else null.</summary>
    /// <exception cref="NodeException">The file is missing, empty or too long.</exception>
    public static string? Read(string? file, IReadOnlyDictionary<string, string> environment)
    {
        if (file is null)
            return environment.TryGetValue(Variable, out var key) && key.Length > 0 ? key : null;
        try
        {
            using var stream = File.OpenRead(file);
            var buffer = new byte[MaxBytes + 1];
            var length = stream.ReadAtLeast(buffer, buffer.Length, throwOnEndOfStream: false);
            var text = Encoding.UTF8.GetString(buffer, 0, length).Trim();
            return text.Length > 0 && length <= MaxBytes
                ? text
                : throw new NodeException(NodeError.Usage, $"cluster key file {file}: it must hold 1 to {MaxBytes} bytes. Make one with: head -c 32 /dev/urandom | base64 > {file}");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new NodeException(NodeError.Usage, $"cluster key file {file} cannot be read: {exception.Message}", exception);
        }
    }

    /// <summary>Refuses to listen where others can reach it without a key: anybody could then fetch weights and change the catalog.</summary>
    /// <exception cref="NodeException"><see cref="NodeError.NotAllowed"/>.</exception>
    public static void DemandFor(string endpoint, string? clusterKey, bool insecure)
    {
        if (clusterKey is not null || insecure || IsLoopback(endpoint))
            return;
        throw new NodeException(
            NodeError.NotAllowed,
            $"refused to listen on {endpoint}: whoever reaches it could fetch weights and change the catalog.\n"
            + $"Set a cluster key (--cluster-key-file FILE or {Variable}), listen on 127.0.0.1, or say --insecure on a network you trust.");
    }

    /// <summary>
    /// Whether only this machine reaches <c>host:port</c>. A name other than localhost counts as reachable: who knows where it points.
    /// </summary>
    public static bool IsLoopback(string endpoint)
    {
        var host = endpoint[..endpoint.LastIndexOf(':')].Trim('[', ']');
        return host.Equals("localhost", StringComparison.OrdinalIgnoreCase) || (IPAddress.TryParse(host, out var address) && IPAddress.IsLoopback(address));
    }
}
