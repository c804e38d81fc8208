using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using P2PWeights.Store.Telemetry;
using P2PWeights.Tracker;

namespace P2PWeights.Client.LocalApi;

/// <summary>
/// The local API: HTTP on a Unix socket that only its owner may connect to, JSON in and out, long requests as <see cref="EventStream"/>. It translates
/// between HTTP and <see cref="INodeApi"/> and decides nothing.
/// </summary>
internal sealed class NodeServer : IAsyncDisposable
{
    private const int MaxBodyBytes = 1 << 20;
    private const int MaxIdChars = 64;

    /// <summary>For the last answers to be written: the node ends its requests before its server.</summary>
    private static readonly TimeSpan StopDeadline = TimeSpan.FromSeconds(2);

    private readonly INodeApi _node;
    private readonly TimeProvider _time;
    private readonly string _socket;
    private readonly ILogger _log;
    private readonly WebApplication _app;
    private readonly MetricsText _metrics;
    private readonly ConcurrentDictionary<string, CancellationTokenSource> _updates = new(StringComparer.Ordinal);

    private NodeServer(string socket, UnixDomainSocketEndPoint endPoint, INodeApi node, MetricsText metrics, TimeProvider time, ILoggerFactory loggers)
    {
        (_node, _metrics, _time, _socket, _log) = (node, metrics, time, socket, loggers.CreateLogger<NodeServer>());
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.ListenUnixSocket(endPoint.ToString()!);
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = MaxBodyBytes;
        });
        builder.Services.Configure<SocketTransportOptions>(transport => transport.CreateBoundListenSocket = Bind);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopDeadline);
        builder.Services.AddSingleton(loggers);
        builder.Services.AddSingleton<IHostLifetime, CallerLifetime>();
        builder.Services.AddRoutingCore();
        _app = builder.Build();
        _app.Use(GuardAsync);
        Map();
    }

    /// <summary>Starts to answer on the socket.</summary>
    /// <exception cref="NodeException">Another node listens there, or the path cannot be used.</exception>
    public static async Task<NodeServer> StartAsync(
        string socket, INodeApi node, MetricsText metrics, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        var endPoint = NodeSocket.EndPoint(socket);
        await NodeSocket.PrepareAsync(endPoint.ToString()!, cancellationToken).ConfigureAwait(false);
        var server = new NodeServer(endPoint.ToString()!, endPoint, node, metrics, time, loggers);
        try
        {
            await server._app.StartAsync(cancellationToken).ConfigureAwait(false);
            return server;
        }
        catch (Exception e)
        {
            await server.DisposeAsync().ConfigureAwait(false);
            if (e is IOException or SocketException)
            {
                throw new NodeException(NodeError.Usage, $"cannot listen on {socket}: {e.Message}", e);
            }

            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync().ConfigureAwait(false);
        await _app.DisposeAsync().ConfigureAwait(false);
        File.Delete(_socket);
    }

    private static Socket Bind(EndPoint endPoint) => NodeSocket.Bind((UnixDomainSocketEndPoint)endPoint);

    private void Map()
    {
        var json = NodeJson.Default;
        _app.MapPost(ApiRoutes.Publish, http => StreamAsync(http, json.PublishRequest, _node.PublishAsync, json.PublishProgress, json.PublishReport));
        _app.MapPost(ApiRoutes.Pull, http => StreamAsync(http, json.CheckpointPullRequest, _node.PullAsync, json.PullProgress, json.CheckpointPullReport));
        _app.MapPost(ApiRoutes.Update, UpdateAsync);
        _app.MapDelete(ApiRoutes.UpdateOf, http => DoAsync(http, _ => CancelUpdateAsync((string)http.Request.RouteValues["id"]!)));
        _app.MapPost(ApiRoutes.Verify, http => StreamAsync(http, json.VerifyBody, VerifyAsync, json.VerifyProgress, json.VerifyReport));
        _app.MapPost(ApiRoutes.Scrub, http => EventStream.RunAsync(http, _node.ScrubAsync, json.NodeScrubReport, json.NodeScrubReport, _time));
        _app.MapGet(ApiRoutes.Status, http => AnswerAsync(http, json.NodeStatus, _node.StatusAsync));
        _app.MapGet(ApiRoutes.Peers, http => AnswerAsync(http, json.IReadOnlyListPeerStatus, _node.PeersAsync));
        _app.MapGet(ApiRoutes.PullOf, WhyAsync);
        _app.MapGet(ApiRoutes.Checkpoints, ListAsync);
        _app.MapGet(ApiRoutes.Checkpoint, ShowAsync);
        _app.MapGet(ApiRoutes.SwarmOf, SwarmAsync);
        _app.MapDelete(ApiRoutes.Checkpoint, http => DoAsync(http, token => _node.RemoveAsync(CheckpointOf(http), token)));
        _app.MapPost(ApiRoutes.Tags, http => DoAsync(http, token => TagAsync(http, token)));
        _app.MapGet(ApiRoutes.Metrics, WriteMetricsAsync);
        _app.MapFallback(http => FailAsync(http, new NodeException(NodeError.Usage, $"no such request: {http.Request.Method} {http.Request.Path}")));
    }

    private Task WriteMetricsAsync(HttpContext http)
    {
        http.Response.ContentType = MetricsText.ContentType;
        return http.Response.WriteAsync(_metrics.Render(), http.RequestAborted);
    }

    private Task ListAsync(HttpContext http) =>
        AnswerAsync(http, NodeJson.Default.IReadOnlyListCheckpointInfo, token => _node.ListAsync(http.Request.Query["name"], token));

    private Task WhyAsync(HttpContext http) =>
        AnswerAsync(http, NodeJson.Default.PullExplanation, token => _node.WhyAsync(CheckpointOf(http), token));

    private Task ShowAsync(HttpContext http) =>
        AnswerAsync(http, NodeJson.Default.CheckpointDetails, token => _node.ShowAsync(CheckpointOf(http), token));

    private Task SwarmAsync(HttpContext http) => AnswerAsync(http, NodeJson.Default.SwarmStatus, token => _node.SwarmAsync(CheckpointOf(http), MembersOf(http), token));

    /// <summary>Who goes away cancels an update, and hears no more of it; who wants to know what the engines hold gives it an id, and cancels by that.</summary>
    private async Task UpdateAsync(HttpContext http)
    {
        var json = NodeJson.Default;
        var id = IdOf(http);
        using var cancel = new CancellationTokenSource();
        if (id is not null && !_updates.TryAdd(id, cancel))
        {
            throw new NodeException(NodeError.Usage, $"an update with the id {id} is under way: give each its own");
        }

        try
        {
            await StreamAsync(http, json.UpdateRequest, (request, progress, aborted) => UpdateAsync(request, progress, cancel.Token, aborted), json.UpdateProgress, json.UpdateReport)
                .ConfigureAwait(false);
        }
        finally
        {
            if (id is not null)
            {
                _updates.TryRemove(id, out _);
            }
        }
    }

    private async Task<UpdateReport> UpdateAsync(UpdateRequest request, IProgress<UpdateProgress> progress, CancellationToken cancelled, CancellationToken aborted)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancelled, aborted);
        try
        {
            return await _node.UpdateAsync(request, progress, either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancelled.IsCancellationRequested && !aborted.IsCancellationRequested)
        {
            throw new NodeException(NodeError.Failed, "the update was cancelled before any engine was asked: all hold what they held");
        }
    }

    private async Task CancelUpdateAsync(string id)
    {
        try
        {
            await (_updates.TryGetValue(id, out var cancel) ? cancel.CancelAsync() : throw new NodeException(NodeError.NotFound, $"no update with the id {id} is under way")).ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // It has ended since.
        }
    }

    private Task<VerifyReport> VerifyAsync(VerifyBody body, IProgress<VerifyProgress> progress, CancellationToken cancellationToken) =>
        _node.VerifyAsync(body.Folder, body.Checkpoint, new ProgressRelay<long>(bytes => progress.Report(new VerifyProgress(bytes))), cancellationToken);

    private async Task TagAsync(HttpContext http, CancellationToken cancellationToken)
    {
        var body = await ReadAsync(http, NodeJson.Default.TagBody).ConfigureAwait(false);
        await _node.TagAsync(body.Checkpoint, body.Tag, cancellationToken).ConfigureAwait(false);
    }

    private async Task StreamAsync<TRequest, TProgress, TResult>(
        HttpContext http,
        JsonTypeInfo<TRequest> requestType,
        Func<TRequest, IProgress<TProgress>, CancellationToken, Task<TResult>> operation,
        JsonTypeInfo<TProgress> progressType,
        JsonTypeInfo<TResult> resultType)
    {
        var request = await ReadAsync(http, requestType).ConfigureAwait(false);
        await EventStream.RunAsync(http, (progress, token) => operation(request, progress, token), progressType, resultType, _time).ConfigureAwait(false);
    }

    private static async Task AnswerAsync<T>(HttpContext http, JsonTypeInfo<T> type, Func<CancellationToken, Task<T>> operation)
    {
        var answer = await operation(http.RequestAborted).ConfigureAwait(false);
        await http.Response.WriteAsJsonAsync(answer, type, contentType: null, http.RequestAborted).ConfigureAwait(false);
    }

    private static async Task DoAsync(HttpContext http, Func<CancellationToken, Task> operation)
    {
        await operation(http.RequestAborted).ConfigureAwait(false);
        http.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    /// <summary>Stands before every request: whatever it ends in, the client gets an answer that says so.</summary>
    private async Task GuardAsync(HttpContext http, RequestDelegate next)
    {
        try
        {
            await next(http).ConfigureAwait(false);
        }
        catch (NodeException e)
        {
            await FailAsync(http, e).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // Nobody is left to answer.
        }
        catch (Exception e)
        {
            // The last resort of a server: a request that fails in a way nobody thought of takes no other with it.
            NodeLog.RequestBroke(_log, http.Request.Method, http.Request.Path, e);
            await FailAsync(http, new NodeException(NodeError.Failed, $"the node failed on this request ({e.GetType().Name}: {e.Message}); its log says where", e)).ConfigureAwait(false);
        }
    }

    private static async Task<T> ReadAsync<T>(HttpContext http, JsonTypeInfo<T> type)
    {
        try
        {
            return await JsonSerializer.DeserializeAsync(http.Request.Body, type, http.RequestAborted).ConfigureAwait(false)
                ?? throw new NodeException(NodeError.Usage, "the body is null, not an object");
        }
        catch (JsonException e)
        {
            throw new NodeException(NodeError.Usage, $"the body is not what {http.Request.Path} takes: {e.Message}", e);
        }
        catch (BadHttpRequestException e)
        {
            throw new NodeException(NodeError.Usage, e.Message, e);
        }
    }

    private static Task FailAsync(HttpContext http, NodeException failure)
    {
        var error = new ErrorBody(failure.Error, failure.Message);
        if (http.Response.HasStarted)
        {
            // Only streams begin before they know how they end.
            return EventStream.WriteErrorAsync(http.Response, error, http.RequestAborted);
        }

        http.Response.StatusCode = ErrorStatus.Of(failure.Error);
        return http.Response.WriteAsJsonAsync(error, NodeJson.Default.ErrorBody, contentType: null, http.RequestAborted);
    }

    private static int MembersOf(HttpContext http) =>
        http.Request.Query["members"] is not [{ } text] ? int.MaxValue
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count
        : throw new NodeException(NodeError.Usage, "members is a number, 0 or more");

    private static string? IdOf(HttpContext http) =>
        http.Request.Query["id"] is not [{ } id] ? null
        : id.Length is > 0 and <= MaxIdChars && id.All(char.IsAsciiLetterOrDigit) ? id
        : throw new NodeException(NodeError.Usage, $"an id is 1 to {MaxIdChars} letters and digits");

    private static string CheckpointOf(HttpContext http) => (string?)http.Request.RouteValues["checkpoint"] ?? string.Empty;
}
