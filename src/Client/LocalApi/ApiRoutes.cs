namespace P2PWeights.Client.LocalApi;

/// <summary>Addresses of the local API (docs/protocol.md, "Node HTTP"), the same for server and client.</summary>
internal static class ApiRoutes
{
    public const string Publish = "/v1/publish";
    public const string Pull = "/v1/pull";
    public const string Update = "/v1/update";
    public const string Verify = "/v1/verify";
    public const string Scrub = "/v1/scrub";
    public const string Status = "/v1/status";
    public const string Peers = "/v1/peers";
    public const string Pulls = "/v1/pulls";
    public const string Tags = "/v1/tags";
    public const string Checkpoints = "/v1/checkpoints";
    public const string Swarms = "/v1/swarms";
    public const string Metrics = "/metrics";

    /// <summary>Checkpoint names hold slashes, so one takes the whole rest of the address.</summary>
    public const string Checkpoint = "/v1/checkpoints/{**checkpoint}";

    /// <summary>The nodes around a checkpoint.</summary>
    public const string SwarmOf = "/v1/swarms/{**checkpoint}";

    /// <summary>An update under way, by the id that its request gave it.</summary>
    public const string UpdateOf = "/v1/update/{id}";

    /// <summary>The newest pull of a checkpoint.</summary>
    public const string PullOf = "/v1/pulls/{**checkpoint}";
}
