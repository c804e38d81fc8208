using System.Globalization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using P2PWeights.Native.Posix;
using P2PWeights.Store.Content;
using P2PWeights.Store.Telemetry;
using P2PWeights.Tracker.Catalog;
using P2PWeights.Tracker.Wire;

namespace P2PWeights.Tracker.Http;

/// <summary>The routes of the tracker: each reads its request, checks it, asks the core, writes the answer. Described in docs/protocol.md.</summary>
internal sealed class TrackerApi(TrackerCore core, MetricsText metrics)
{
    /// <summary>Largest sync: two million shards.</summary>
    public const int MaxSyncBytes = 80 << 20;

    /// <summary>Largest body of the other messages.</summary>
    public const int MaxSmallBytes = 64 << 10;

    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapPost("/v1/sync", SyncAsync);
        routes.MapPut("/v1/manifests/{digest}", PutManifestAsync);
        routes.MapGet("/v1/manifests/{digest}", GetManifestAsync);
        routes.MapGet("/v1/checkpoints", ListAsync);
        routes.MapGet("/v1/checkpoints/{**checkpoint}", FindAsync);
        routes.MapPut("/v1/checkpoints/{**checkpoint}", PublishAsync);
        routes.MapDelete("/v1/checkpoints/{**checkpoint}", RemoveAsync);
        routes.MapPut("/v1/tags/{**checkpoint}", TagAsync);
        routes.MapGet("/v1/suggest/{**checkpoint}", SuggestAsync);
        routes.MapGet("/v1/swarms/{**checkpoint}", SwarmAsync);
        routes.MapGet("/v1/peers", PeersAsync);
        routes.MapGet("/v1/status", StatusAsync);
        routes.MapGet("/healthz", context => context.Response.WriteAsync("ok\n", context.RequestAborted));
        routes.MapGet("/metrics", MetricsAsync);
        routes.MapFallback("{**path}", context => throw ApiException.NotFound($"there is no {context.Request.Method} {context.Request.Path} here; see docs/protocol.md"));
    }

    private async Task SyncAsync(HttpContext context)
    {
        var sync = await Bodies.ReadAsync(context, WireFormats.SyncRequest, MaxSyncBytes);
        RequestRules.Check(sync);
        await Bodies.WriteAsync(context, WireFormats.SyncResponse, await core.SyncAsync(sync));
    }

    private async Task PutManifestAsync(HttpContext context)
    {
        var digest = RouteDigest(context);
        Bodies.Limit(context, ManifestShelf.MaxManifestBytes);
        if (!core.HasManifest(digest))
        {
            try
            {
                await core.PutManifestAsync(digest, context.Request.Body, context.RequestAborted);
            }
            catch (ManifestException e)
            {
                throw ApiException.BadRequest(e.Message);
            }
            catch (InvalidDataException e)
            {
                throw ApiException.TooLarge(e.Message);
            }
            catch (IOException e) when (Errno.IsDiskFull(e))
            {
                throw new TrackerException(TrackerError.Unavailable, $"the tracker's disk has no room for the manifest {digest}; make room there", e);
            }
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private async Task GetManifestAsync(HttpContext context)
    {
        var digest = RouteDigest(context);
        await using var file = core.OpenManifest(digest) ?? throw ApiException.NotFound($"the manifest {digest} is not here");
        context.Response.ContentType = Bodies.MessagePackType;
        context.Response.ContentLength = file.Length;
        await file.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    private async Task ListAsync(HttpContext context)
    {
        var name = context.Request.Query["name"] is [{ } only] ? RequestRules.Name(only) : null;
        await Bodies.WriteAsync(context, WireFormats.Checkpoints, await core.ListAsync(name, context.RequestAborted));
    }

    private async Task FindAsync(HttpContext context)
    {
        var checkpoint = RouteCheckpoint(context);
        var found = await core.FindAsync(checkpoint) ?? throw NoCheckpoint(checkpoint);
        await Bodies.WriteAsync(context, WireFormats.Checkpoint, found);
    }

    private async Task PublishAsync(HttpContext context)
    {
        var checkpoint = RouteCheckpoint(context);
        var request = await Bodies.ReadAsync(context, WireFormats.PublishRequest, MaxSmallBytes);
        var answer = await core.PublishAsync(checkpoint, request.Manifest, context.RequestAborted);
        var status = answer.Outcome switch
        {
            PublishOutcome.Published => StatusCodes.Status201Created,
            PublishOutcome.Staged => StatusCodes.Status202Accepted,
            PublishOutcome.Conflict => StatusCodes.Status409Conflict,
            _ => StatusCodes.Status200OK,
        };
        await Bodies.WriteAsync(context, WireFormats.PublishResponse, answer, status);
    }

    private async Task RemoveAsync(HttpContext context)
    {
        var checkpoint = RouteCheckpoint(context);
        if (!await core.RemoveAsync(checkpoint, context.RequestAborted))
        {
            throw NoCheckpoint(checkpoint);
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private async Task TagAsync(HttpContext context)
    {
        var tag = RouteCheckpoint(context);
        var request = await Bodies.ReadAsync(context, WireFormats.TagRequest, MaxSmallBytes);
        var target = RequestRules.Checkpoint($"{tag.Name}@{RequestRules.Version(request.Version)}");
        if (!await core.TagAsync(target, tag.Version, context.RequestAborted))
        {
            throw NoCheckpoint(target);
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private Task SuggestAsync(HttpContext context) => Bodies.WriteAsync(context, WireFormats.Names, core.Suggest(RouteCheckpoint(context)));

    private async Task SwarmAsync(HttpContext context)
    {
        var checkpoint = RouteCheckpoint(context);
        var most = context.Request.Query["members"] is [{ } only] ? RequestRules.Count(only) : int.MaxValue;
        await Bodies.WriteAsync(context, WireFormats.Swarm, await core.LookAsync(checkpoint, most) ?? throw NoCheckpoint(checkpoint));
    }

    private Task PeersAsync(HttpContext context) => Bodies.WriteAsync(context, WireFormats.Peers, core.Peers());

    private Task StatusAsync(HttpContext context) => Bodies.WriteAsync(context, WireFormats.Status, core.Status());

    private Task MetricsAsync(HttpContext context)
    {
        context.Response.ContentType = MetricsText.ContentType;
        return context.Response.WriteAsync(metrics.Render(), context.RequestAborted);
    }

    private ApiException NoCheckpoint(CheckpointName checkpoint)
    {
        var closest = core.Suggest(checkpoint);
        return ApiException.NotFound(closest.IsEmpty
            ? $"there is no checkpoint {checkpoint}"
            : string.Create(CultureInfo.InvariantCulture, $"there is no checkpoint {checkpoint}; closest: {string.Join(", ", closest)}"));
    }

    private static Digest RouteDigest(HttpContext context) => RequestRules.Digest(context.Request.RouteValues["digest"] as string);

    private static CheckpointName RouteCheckpoint(HttpContext context) => RequestRules.Checkpoint(context.Request.RouteValues["checkpoint"] as string);
}
