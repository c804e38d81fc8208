using System.Net;
using System.Net.Http.Headers;
using P2PWeights.Bench.Measuring;
using P2PWeights.Tracker;
using P2PWeights.Tracker.Wire;

namespace P2PWeights.Bench.Syncing;

/// <summary>One HTTP/2 connection to the tracker, shared by many simulated peers. No retries: what fails has failed.</summary>
internal sealed class SyncConnection(Uri tracker) : IDisposable
{
    private const string MessagePackType = "application/msgpack";

    private readonly HttpClient _http = new(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { BaseAddress = tracker };

    /// <summary>Sends a sync and reads the answer; also gives the bytes of both bodies.</summary>
    public async Task<(SyncResponse Response, int Sent, int Received)> SyncAsync(SyncRequest sync, CancellationToken cancellationToken)
    {
        var body = WireFormats.SyncRequest.Encode(sync, BodyEncoding.MessagePack);
        using var request = new HttpRequestMessage(HttpMethod.Post, "v1/sync")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ReadOnlyMemoryContent(body),
        };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(MessagePackType);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(MessagePackType));
        using var response = await _http.SendAsync(request, cancellationToken).ConfigureAwait(false);
        var answer = await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false);
        return response.StatusCode == HttpStatusCode.OK
            ? (WireFormats.SyncResponse.Decode(answer, BodyEncoding.MessagePack), body.Length, answer.Length)
            : throw new BenchException($"the tracker answered a sync with HTTP {(int)response.StatusCode}");
    }

    public void Dispose() => _http.Dispose();
}
