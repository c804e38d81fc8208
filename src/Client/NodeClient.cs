using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Net.ServerSentEvents;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using P2PWeights.Client.Catalog;
using P2PWeights.Client.LocalApi;
using P2PWeights.Tracker;
using P2PWeights.Transfer;

namespace P2PWeights.Client;

/// <summary>
/// Typed client of a running node, over its Unix socket (docs/protocol.md). Every call has a deadline except publish, pull, verify and scrub, which report progress instead.
/// </summary>
public sealed class NodeClient : INodeApi, IDisposable
{
    /// <summary>For calls without progress: longer than the node's own deadline towards the tracker, so that the node's reason arrives and not ours.</summary>
    private static readonly TimeSpan CallDeadline = TimeSpan.FromSeconds(60);

    /// <summary>For the report of an update that has ended, across a socket of this host.</summary>
    private static readonly TimeSpan ReportDeadline = TimeSpan.FromSeconds(5);

    private static readonly TimeSpan AskAgain = TimeSpan.FromMilliseconds(200);

    private static readonly NodeJson Json = NodeJson.Default;

    private readonly string _socket;
    private readonly HttpClient _http;

    /// <param name="socket">Path of the node's socket.</param>
    /// <exception cref="NodeException"><see cref="NodeError.NotFound"/> on the first call when no node listens there; <see cref="NodeError.Usage"/> at once for a path that cannot be one.</exception>
    public NodeClient(string socket)
    {
        _socket = Path.GetFullPath(socket);
        var endPoint = NodeSocket.EndPoint(_socket);
        _http = new HttpClient(new SocketsHttpHandler
        {
            ConnectCallback = async (_, cancellationToken) => await ConnectAsync(endPoint, cancellationToken).ConfigureAwait(false),
            UseProxy = false,
            AllowAutoRedirect = false,
        })
        {
            BaseAddress = new Uri("http://node"),
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    public Task<PublishReport> PublishAsync(PublishRequest request, IProgress<PublishProgress>? progress, CancellationToken cancellationToken) =>
        StreamAsync(ApiRoutes.Publish, Body(request, Json.PublishRequest), Json.PublishProgress, Json.PublishReport, progress, cancellationToken);

    public Task<CheckpointPullReport> PullAsync(CheckpointPullRequest request, IProgress<PullProgress>? progress, CancellationToken cancellationToken) =>
        StreamAsync(ApiRoutes.Pull, Body(request, Json.CheckpointPullRequest), Json.PullProgress, Json.CheckpointPullReport, progress, cancellationToken);

    /// <inheritdoc/>
    /// <remarks>Cancelled, it has the node end the update and waits for the report, up to a minute.</remarks>
    public async Task<UpdateReport> UpdateAsync(UpdateRequest request, IProgress<UpdateProgress>? progress, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var id = Guid.NewGuid().ToString("N");
        using var patience = new CancellationTokenSource();
        var cancelling = Task.CompletedTask;
        using var registration = cancellationToken.Register(() => cancelling = CancelUpdateAsync(id, patience));
        try
        {
            return await StreamAsync($"{ApiRoutes.Update}?id={id}", Body(request, Json.UpdateRequest), Json.UpdateProgress, Json.UpdateReport, progress, patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException e)
        {
            throw new OperationCanceledException(e.Message, e, cancellationToken);
        }
        finally
        {
            await registration.DisposeAsync().ConfigureAwait(false);
            await patience.CancelAsync().ConfigureAwait(false);
            await cancelling.ConfigureAwait(false);
        }
    }

    public Task<VerifyReport> VerifyAsync(string folder, string checkpoint, IProgress<long>? bytesHashed, CancellationToken cancellationToken) =>
        StreamAsync(
            ApiRoutes.Verify,
            Body(new VerifyBody(folder, checkpoint), Json.VerifyBody),
            Json.VerifyProgress,
            Json.VerifyReport,
            bytesHashed is null ? null : new ProgressRelay<VerifyProgress>(seen => bytesHashed.Report(seen.BytesHashed)),
            cancellationToken);

    public Task<NodeScrubReport> ScrubAsync(IProgress<NodeScrubReport>? progress, CancellationToken cancellationToken) =>
        StreamAsync(ApiRoutes.Scrub, null, Json.NodeScrubReport, Json.NodeScrubReport, progress, cancellationToken);

    public Task<NodeStatus> StatusAsync(CancellationToken cancellationToken) => GetAsync(ApiRoutes.Status, Json.NodeStatus, cancellationToken);

    public Task<IReadOnlyList<PeerStatus>> PeersAsync(CancellationToken cancellationToken) => GetAsync(ApiRoutes.Peers, Json.IReadOnlyListPeerStatus, cancellationToken);

    public Task<PullExplanation> WhyAsync(string checkpoint, CancellationToken cancellationToken) =>
        GetAsync($"{ApiRoutes.Pulls}/{CheckpointCatalog.Parse(checkpoint)}", Json.PullExplanation, cancellationToken);

    public Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken) =>
        GetAsync(name is null ? ApiRoutes.Checkpoints : $"{ApiRoutes.Checkpoints}?name={Uri.EscapeDataString(name)}", Json.IReadOnlyListCheckpointInfo, cancellationToken);

    public Task<CheckpointDetails> ShowAsync(string checkpoint, CancellationToken cancellationToken) =>
        GetAsync(AddressOf(checkpoint), Json.CheckpointDetails, cancellationToken);

    public Task<SwarmStatus> SwarmAsync(string checkpoint, int members, CancellationToken cancellationToken) => GetAsync(
        string.Create(CultureInfo.InvariantCulture, $"{ApiRoutes.Swarms}/{CheckpointCatalog.Parse(checkpoint)}?members={members}"), Json.SwarmStatus, cancellationToken);

    public Task TagAsync(string checkpoint, string tag, CancellationToken cancellationToken) =>
        CallAsync(HttpMethod.Post, ApiRoutes.Tags, Body(new TagBody(checkpoint, tag), Json.TagBody), cancellationToken);

    public Task RemoveAsync(string checkpoint, CancellationToken cancellationToken) =>
        CallAsync(HttpMethod.Delete, AddressOf(checkpoint), null, cancellationToken);

    public void Dispose() => _http.Dispose();

    /// <summary>Names that pass the check have no character that an address would change.</summary>
    private static string AddressOf(string checkpoint) => $"{ApiRoutes.Checkpoints}/{CheckpointCatalog.Parse(checkpoint)}";

    private static ByteArrayContent Body<T>(T value, JsonTypeInfo<T> type)
    {
        var content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(value, type));
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        return content;
    }

    private static async Task<Stream> ConnectAsync(UnixDomainSocketEndPoint endPoint, CancellationToken cancellationToken)
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
    }

    private Task<T> GetAsync<T>(string address, JsonTypeInfo<T> type, CancellationToken cancellationToken) =>
        WithDeadlineAsync(
            async token =>
            {
                using var response = await SendAsync(HttpMethod.Get, address, null, token).ConfigureAwait(false);
                return Read(await response.Content.ReadAsByteArrayAsync(token).ConfigureAwait(false), type);
            },
            cancellationToken);

    private Task<bool> CallAsync(HttpMethod method, string address, HttpContent? body, CancellationToken cancellationToken) =>
        WithDeadlineAsync(
            async token =>
            {
                using var response = await SendAsync(method, address, body, token).ConfigureAwait(false);
                return true;
            },
            cancellationToken);

    /// <param name="patience">Cancelled when no report is to be had: hanging up cancels the update too.</param>
    private async Task CancelUpdateAsync(string id, CancellationTokenSource patience)
    {
        try
        {
            patience.CancelAfter(CallDeadline);
            var asked = Stopwatch.GetTimestamp();
            while (!await TryCancelUpdateAsync(id, patience.Token).ConfigureAwait(false))
            {
                // It has just ended, and its report is on its way; or it has not begun, and is cancelled when it has.
                if (Stopwatch.GetElapsedTime(asked) > ReportDeadline)
                {
                    await patience.CancelAsync().ConfigureAwait(false);
                }

                await Task.Delay(AskAgain, patience.Token).ConfigureAwait(false);
            }
        }
        catch (Exception failure) when (failure is NodeException or OperationCanceledException)
        {
            await patience.CancelAsync().ConfigureAwait(false);
        }
    }

    /// <returns>False when the node knows no such update.</returns>
    private async Task<bool> TryCancelUpdateAsync(string id, CancellationToken cancellationToken)
    {
        try
        {
            return await CallAsync(HttpMethod.Delete, $"{ApiRoutes.Update}/{id}", null, cancellationToken).ConfigureAwait(false);
        }
        catch (NodeException failure) when (failure.Error == NodeError.NotFound)
        {
            return false;
        }
    }

    private Task<TResult> StreamAsync<TProgress, TResult>(
        string address, HttpContent? body, JsonTypeInfo<TProgress> progressType, JsonTypeInfo<TResult> resultType, IProgress<TProgress>? progress, CancellationToken cancellationToken) =>
        TranslateAsync(async () =>
        {
            using var response = await SendAsync(HttpMethod.Post, address, body, cancellationToken).ConfigureAwait(false);
            using var stream = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            var events = SseParser.Create(stream, static (_, data) => data.ToArray());
            await foreach (var item in events.EnumerateAsync(cancellationToken).ConfigureAwait(false))
            {
                switch (item.EventType)
                {
                    case EventStream.Progress:
                        progress?.Report(Read(item.Data, progressType));
                        break;
                    case EventStream.Result:
                        return Read(item.Data, resultType);
                    case EventStream.Error:
                        throw Failure(Read(item.Data, Json.ErrorBody));
                    default:
                        // A later version may tell more than this one understands.
                        break;
                }
            }

            throw new NodeException(NodeError.Failed, $"the node at {_socket} ended before it answered; what was fetched is kept, start it and ask again");
        });

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string address, HttpContent? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, address) { Content = body };
        var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken).ConfigureAwait(false);
        if (response.IsSuccessStatusCode)
        {
            return response;
        }

        using (response)
        {
            throw Failure(Read(await response.Content.ReadAsByteArrayAsync(cancellationToken).ConfigureAwait(false), Json.ErrorBody));
        }
    }

    private Task<T> WithDeadlineAsync<T>(Func<CancellationToken, Task<T>> call, CancellationToken cancellationToken) =>
        TranslateAsync(async () =>
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            deadline.CancelAfter(CallDeadline);
            try
            {
                return await call(deadline.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
            {
                throw new NodeException(NodeError.Deadline, $"the node at {_socket} did not answer within {CallDeadline.TotalSeconds:0} s; look at its log", e);
            }
        });

    private async Task<T> TranslateAsync<T>(Func<Task<T>> call)
    {
        try
        {
            return await call().ConfigureAwait(false);
        }
        catch (HttpRequestException e) when (e.InnerException is SocketException { SocketErrorCode: SocketError.AccessDenied })
        {
            throw new NodeException(NodeError.NotAllowed, $"the node at {_socket} belongs to another user; run the command as that user", e);
        }
        catch (HttpRequestException e) when (e.InnerException is SocketException)
        {
            throw new NodeException(NodeError.NotFound, $"no node listens on {_socket}; start one with `p2pw node --socket {_socket} ...`", e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw new NodeException(NodeError.Failed, $"the node at {_socket} went away ({e.Message}); what was fetched is kept, start it and ask again", e);
        }
    }

    private T Read<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> type)
    {
        try
        {
            return JsonSerializer.Deserialize(json, type) ?? throw new JsonException("null");
        }
        catch (JsonException e)
        {
            throw new NodeException(NodeError.Failed, $"what listens on {_socket} is not a node of this version: {e.Message}", e);
        }
    }

    private static NodeException Failure(ErrorBody body) => new(body.Error, body.Message);
}
