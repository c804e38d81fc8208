using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text.Json;
using P2PWeights.Client.LocalApi;

namespace P2PWeights.Client.Engines;

/// <summary>HTTP with one engine, over TCP or a Unix socket. Answers are bounded; what an engine says of a failure is passed on as text.</summary>
internal sealed class EngineHttp : IDisposable
{
    private const int MaxAnswerBytes = 4 << 20;

    private readonly HttpClient _http;
    private readonly string _name;
    private readonly string? _socket;

    public EngineHttp(EngineAddress address)
    {
        (_name, _socket) = (address.Url, address.Socket);

        // No proxy: an engine is on this host. Engines close idle connections after some seconds (uvicorn: 5), and a request on one that is just being closed would fail.
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, PooledConnectionIdleTimeout = TimeSpan.FromSeconds(2) };
        if (address.Socket is { } path)
        {
            var endPoint = NodeSocket.EndPoint(path);
            handler.ConnectCallback = async (_, cancellationToken) =>
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
                try
                {
                    await socket.ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false);
                    return new NetworkStream(socket, ownsSocket: true);
                }
                catch
                {
                    socket.Dispose();
                    throw;
                }
            };
        }

        _http = new HttpClient(handler) { BaseAddress = address.Base, Timeout = Timeout.InfiniteTimeSpan, MaxResponseContentBufferSize = MaxAnswerBytes };
    }

    /// <summary>GET, when there is no body, or POST.</summary>
    /// <param name="body">Writes the body's members; null for GET.</param>
    /// <param name="doing">For messages, e.g. <c>asked to begin</c>.</param>
    /// <returns>The answer to a request that succeeded; empty when its body is.</returns>
    /// <exception cref="EngineException">
    /// <see cref="EngineError.Refused"/>, <see cref="EngineError.Died"/>, <see cref="EngineError.Deadline"/>, <see cref="EngineError.NotSupported"/> (404, 405, 501).
    /// </exception>
    public async Task<ReadOnlyMemory<byte>> CallAsync(string path, Action<Utf8JsonWriter>? body, string doing, TimeSpan timeout, CancellationToken cancellationToken)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(timeout);
        try
        {
            using var request = new HttpRequestMessage(body is null ? HttpMethod.Get : HttpMethod.Post, path);
            if (body is not null)
            {
                request.Content = Json(body);
            }

            using var response = await _http.SendAsync(request, deadline.Token).ConfigureAwait(false);
            var answer = await response.Content.ReadAsByteArrayAsync(deadline.Token).ConfigureAwait(false);
            return response.IsSuccessStatusCode ? answer : throw Refusal(response.StatusCode, answer, doing);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new EngineException(EngineError.Deadline, $"engine {_name}, {doing}, did not answer within {timeout.TotalSeconds:0.#} s", e);
        }
        catch (HttpRequestException e)
        {
            throw new EngineException(EngineError.Died, $"engine {_name}, {doing}, {Why(e)}", e);
        }
    }

    public void Dispose() => _http.Dispose();

    private string Why(HttpRequestException failure) => failure.HttpRequestError switch
    {
        HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError => $"cannot be reached: {WhyUnreachable(failure)}; is it running, and is this its address?",
        HttpRequestError.ResponseEnded => WentAway(""),
        _ when failure.InnerException is IOException lost => WentAway($" ({lost.Message.TrimEnd('.')})"),
        _ => $"gave no answer that can be read: {failure.Message.TrimEnd('.')}; is this its address?",
    };

    /// <summary>.NET has no word of its own for a socket that is not there, and names a socket after a host that there is not.</summary>
    private string WhyUnreachable(HttpRequestException failure) => _socket is not { } path ? failure.Message
        : !File.Exists(path) ? $"there is no socket {path}"
        : $"{path}: {failure.InnerException?.Message ?? failure.Message}";

    private static string WentAway(string how) => $"went away before it answered: its process ended, or closed the connection{how}; look at its log";

    private static ByteArrayContent Json(Action<Utf8JsonWriter> body)
    {
        using var bytes = new MemoryStream();
        using (var json = new Utf8JsonWriter(bytes))
        {
            json.WriteStartObject();
            body(json);
            json.WriteEndObject();
        }

        return new ByteArrayContent(bytes.ToArray()) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
    }

    private EngineException Refusal(HttpStatusCode status, ReadOnlySpan<byte> answer, string doing)
    {
        var text = EngineText.Clean(answer);
        return new EngineException(
            status is HttpStatusCode.NotFound or HttpStatusCode.MethodNotAllowed or HttpStatusCode.NotImplemented ? EngineError.NotSupported : EngineError.Refused,
            $"engine {_name}, {doing}, answered {(int)status} {status}{(text.Length == 0 ? "" : $": {EngineText.LastLine(text)}")}")
        {
            Traceback = text.Length == 0 ? null : text,
        };
    }
}
