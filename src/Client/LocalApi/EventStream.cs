using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;

namespace P2PWeights.Client.LocalApi;

/// <summary>
/// Runs a long request and answers with server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html): any number of <c>progress</c>
/// events, at most ten a second, then exactly one <c>result</c> or, through <see cref="WriteErrorAsync"/>, <c>error</c>. When the client goes away the request is cancelled.
/// </summary>
internal static class EventStream
{
    public const string Progress = "progress";
    public const string Result = "result";
    public const string Error = "error";
    public const string ContentType = "text/event-stream";

    private static readonly TimeSpan ProgressInterval = TimeSpan.FromMilliseconds(100);

    /// <summary>Runs the request and writes its events; what it fails with is thrown, for the caller to write.</summary>
    public static async Task RunAsync<TProgress, TResult>(
        HttpContext context,
        Func<IProgress<TProgress>, CancellationToken, Task<TResult>> operation,
        JsonTypeInfo<TProgress> progressType,
        JsonTypeInfo<TResult> resultType,
        TimeProvider time)
    {
        var aborted = context.RequestAborted;
        context.Response.ContentType = ContentType;
        context.Response.Headers.CacheControl = "no-store";
        await context.Response.StartAsync(aborted).ConfigureAwait(false);

        var progress = new LatestProgress<TProgress>();
        var work = RunToEndAsync(operation, progress, aborted);
        try
        {
            await foreach (var latest in progress.ReadAllAsync(aborted).ConfigureAwait(false))
            {
                await WriteAsync(context.Response, Progress, latest, progressType, aborted).ConfigureAwait(false);
                await Task.WhenAny(work, Task.Delay(ProgressInterval, time, aborted)).ConfigureAwait(false);
            }
        }
        catch (Exception e) when (e is IOException or OperationCanceledException && aborted.IsCancellationRequested)
        {
            // The client is gone and the work cancelled by that; what is left is to wait for its end.
            await ((Task)work).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            return;
        }

        await WriteAsync(context.Response, Result, await work.ConfigureAwait(false), resultType, aborted).ConfigureAwait(false);
    }

    /// <summary>Ends a stream that has begun.</summary>
    public static Task WriteErrorAsync(HttpResponse response, ErrorBody error, CancellationToken cancellationToken) =>
        WriteAsync(response, Error, error, NodeJson.Default.ErrorBody, cancellationToken);

    private static async Task<TResult> RunToEndAsync<TProgress, TResult>(
        Func<IProgress<TProgress>, CancellationToken, Task<TResult>> operation, LatestProgress<TProgress> progress, CancellationToken cancellationToken)
    {
        try
        {
            return await operation(progress, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            progress.Complete();
        }
    }

    private static async Task WriteAsync<T>(HttpResponse response, string name, T value, JsonTypeInfo<T> type, CancellationToken cancellationToken)
    {
        // The serializer writes no line breaks, so the value is one data line.
        await response.WriteAsync($"event: {name}\ndata: {JsonSerializer.Serialize(value, type)}\n\n", cancellationToken).ConfigureAwait(false);
        await response.Body.FlushAsync(cancellationToken).ConfigureAwait(false);
    }
}
