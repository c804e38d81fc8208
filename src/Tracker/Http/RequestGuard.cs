using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.Logging;
using P2PWeights.Tracker.Wire;

namespace P2PWeights.Tracker.Http;

/// <summary>Stands before every route: asks for the cluster key, turns failures into answers, measures.</summary>
internal sealed class RequestGuard(string? clusterKey, TrackerMetrics metrics, TimeProvider time, ILogger logger)
{
    private readonly string? _token = clusterKey is null ? null : ClusterToken.Of(clusterKey);

    public async Task InvokeAsync(HttpContext context, RequestDelegate next)
    {
        var start = time.GetTimestamp();
        try
        {
            RequireToken(context.Request);
            await next(context);
        }
        catch (ApiException e)
        {
            await RefuseAsync(context, e.Status, e.Code, e.Message);
        }
        catch (TrackerException e) when (e.Error == TrackerError.Unavailable)
        {
            // A status on which clients turn to the next tracker.
            await RefuseAsync(context, StatusCodes.Status503ServiceUnavailable, "unavailable", e.Message);
        }
        catch (TrackerException e)
        {
            await RefuseAsync(context, StatusCodes.Status400BadRequest, "refused", e.Message);
        }
        catch (BadHttpRequestException e)
        {
            await RefuseAsync(context, e.StatusCode, e.StatusCode == StatusCodes.Status413PayloadTooLarge ? "too_large" : "bad_request", e.Message);
        }
        catch (OperationCanceledException) when (context.RequestAborted.IsCancellationRequested)
        {
            // The caller is gone; there is nobody to answer.
        }
        catch (Exception e)
        {
            // The last resort of a server: whatever a request did, the others go on.
            TrackerLog.RequestFailed(logger, e, context.Request.Method, context.Request.Path);
            await AnswerAsync(context, StatusCodes.Status500InternalServerError, "failed", "the tracker failed on this request; its log says why");
        }
        finally
        {
            var route = (context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "none";
            metrics.Answered($"{context.Request.Method} {route}", context.Response.StatusCode, time.GetElapsedTime(start));
        }
    }

    private void RequireToken(HttpRequest request)
    {
        if (_token is not null && request.Path != "/healthz" && !ClusterToken.Matches(request.Headers.Authorization.ToString(), _token))
        {
            throw new ApiException(
                StatusCodes.Status401Unauthorized, "not_allowed", "this tracker needs the cluster key, and the request does not show it or shows another");
        }
    }

    private async Task RefuseAsync(HttpContext context, int status, string code, string message)
    {
        TrackerLog.RequestRefused(logger, context.Request.Method, context.Request.Path, status, message);
        await AnswerAsync(context, status, code, message);
    }

    private static async Task AnswerAsync(HttpContext context, int status, string code, string message)
    {
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }

        context.Response.Clear();
        await Bodies.WriteAsync(context, WireFormats.Error, new ErrorBody(code, message), status);
    }
}
