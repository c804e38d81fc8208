using System.Net.Sockets;
using System.Text;

namespace P2PWeights.Client.Tests.LocalApi;

/// <summary>Requests to a local API without its client, which could not make the wrong ones.</summary>
internal static class RawHttp
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);

    /// <param name="path">The node's Unix socket.</param>
    public static async Task<(int Status, string Answer)> SendAsync(string path, string method, string address, string? body)
    {
        using var http = new HttpClient(new SocketsHttpHandler
        {
            Expect100ContinueTimeout = Deadline,
            ConnectCallback = async (_, token) =>
            {
                var connection = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                await connection.ConnectAsync(new UnixDomainSocketEndPoint(path), token);
                return new NetworkStream(connection, ownsSocket: true);
            },
        });
        using var request = new HttpRequestMessage(new HttpMethod(method), "http://node" + address);
        // Refused bodies are refused before they are sent: without this the broken pipe may hide the answer.
        request.Headers.ExpectContinue = body is not null;
        request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await http.SendAsync(request).WaitAsync(Deadline);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync());
    }
}
