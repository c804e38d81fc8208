using Microsoft.AspNetCore.Http;

namespace P2PWeights.Client.LocalApi;

/// <summary>The HTTP status that goes with each kind of failure, for clients that look no further; the body says the kind itself.</summary>
internal static class ErrorStatus
{
    public static int Of(NodeError error) => error switch
    {
        NodeError.Usage => StatusCodes.Status400BadRequest,
        NodeError.NotFound => StatusCodes.Status404NotFound,
        NodeError.Integrity => StatusCodes.Status422UnprocessableEntity,
        NodeError.NoPeers => StatusCodes.Status503ServiceUnavailable,
        NodeError.Deadline => StatusCodes.Status504GatewayTimeout,
        NodeError.NotAllowed => StatusCodes.Status403Forbidden,
        NodeError.DiskFull => StatusCodes.Status507InsufficientStorage,
        _ => StatusCodes.Status500InternalServerError,
    };
}
