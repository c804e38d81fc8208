using System.Globalization;
using P2PWeights.Store.Content;
using P2PWeights.Store.Hashing;
using P2PWeights.Store.Serialization;
using P2PWeights.Tracker.Calls;
using P2PWeights.Tracker.Http;
using P2PWeights.Tracker.Wire;

namespace P2PWeights.Tracker;

/// <summary>
/// Typed client of the tracker's HTTP API. Each call has a deadline, is retried with jitter when that is safe, and fails over along the list of trackers.
/// Thread-safe. Every method throws <see cref="TrackerException"/> when no tracker answers, refuses the request or the cluster key, or answers nonsense.
/// </summary>
public sealed class TrackerClient : IDisposable
{
    private readonly TrackerCaller _caller;

    /// <param name="trackers">Base addresses, tried in order from the last that worked.</param>
    /// <param name="clusterKey">Shared secret; null for none.</param>
    public TrackerClient(IReadOnlyList<Uri> trackers, string? clusterKey, TimeProvider time)
        : this(() => trackers, clusterKey, time) => ArgumentOutOfRangeException.ThrowIfZero(trackers.Count);

    /// <param name="trackers">Base addresses as they are now, asked before each try; while there are none, a call waits for one until its deadline.</param>
    /// <param name="clusterKey">Shared secret; null for none.</param>
    public TrackerClient(Func<IReadOnlyList<Uri>> trackers, string? clusterKey, TimeProvider time) => _caller = new TrackerCaller(trackers, clusterKey, time);

    /// <summary>Tells the tracker what this peer gained and lost and which swarms it is in; learns neighbours, scarce shards and news of the catalog.</summary>
    public async Task<SyncResponse> SyncAsync(SyncRequest request, CancellationToken cancellationToken)
    {
        var body = WireFormats.SyncRequest.Encode(request, BodyEncoding.MessagePack);
        var reply = await CallAsync(new TrackerCall(HttpMethod.Post, "v1/sync", body), cancellationToken).ConfigureAwait(false);
        return Read(Accepted(reply), WireFormats.SyncResponse);
    }

    /// <summary>Stores a manifest; idempotent.</summary>
    public async Task PutManifestAsync(Manifest manifest, CancellationToken cancellationToken)
    {
        var call = new TrackerCall(HttpMethod.Put, $"v1/manifests/{manifest.Digest}", manifest.Encoded, Large: true);
        Accepted(await CallAsync(call, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Fetches a manifest and checks it against the digest; null when the tracker does not have it.</summary>
    public async Task<Manifest?> GetManifestAsync(Digest digest, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(new TrackerCall(HttpMethod.Get, $"v1/manifests/{digest}", Large: true), cancellationToken).ConfigureAwait(false);
        if (IsNotFound(reply))
        {
            return null;
        }

        var bytes = Accepted(reply).Body;
        try
        {
            return Blake3.Hash(bytes) == digest
                ? Manifest.Decode(bytes)
                : throw new TrackerException(TrackerError.Protocol, $"{reply.Tracker} sent other bytes as manifest {digest}: the tracker's disk or the way here damages them");
        }
        catch (ManifestException e)
        {
            throw new TrackerException(TrackerError.Protocol, $"the manifest {digest} cannot be used: {e.Message}", e);
        }
    }

    /// <summary>Asks to make a manifest visible as <c>name@version</c>; ask again while <see cref="PublishOutcome.Staged"/>.</summary>
    public async Task<PublishResponse> PublishAsync(CheckpointName checkpoint, Digest manifest, CancellationToken cancellationToken)
    {
        var body = WireFormats.PublishRequest.Encode(new PublishRequest(manifest), BodyEncoding.MessagePack);
        var reply = await CallAsync(new TrackerCall(HttpMethod.Put, $"v1/checkpoints/{checkpoint}", body), cancellationToken).ConfigureAwait(false);

        // A conflict is an expected outcome, with a body of its own.
        return Read(reply.Status == 409 ? reply : Accepted(reply), WireFormats.PublishResponse);
    }

    /// <summary>The checkpoint under a version or tag; null when there is none.</summary>
    public async Task<CheckpointInfo?> FindAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        var reply = await CallAsync(new TrackerCall(HttpMethod.Get, $"v1/checkpoints/{checkpoint}"), cancellationToken).ConfigureAwait(false);
        return IsNotFound(reply) ? null : Read(Accepted(reply), WireFormats.Checkpoint);
    }

    /// <summary>All checkpoints, or those of one name.</summary>
    public async Task<IReadOnlyList<CheckpointInfo>> ListAsync(string? name, CancellationToken cancellationToken)
    {
        var path = name is null ? "v1/checkpoints" : $"v1/checkpoints?name={Uri.EscapeDataString(name)}";
        return Read(Accepted(await CallAsync(new TrackerCall(HttpMethod.Get, path), cancellationToken).ConfigureAwait(false)), WireFormats.Checkpoints);
    }

    /// <summary>Names closest to one that was not found, best first, at most five.</summary>
    public async Task<IReadOnlyList<string>> SuggestAsync(CheckpointName checkpoint, CancellationToken cancellationToken) => Read(
        Accepted(await CallAsync(new TrackerCall(HttpMethod.Get, $"v1/suggest/{checkpoint}"), cancellationToken).ConfigureAwait(false)), WireFormats.Names);

    /// <summary>Points a tag at a version. False when there is no such version.</summary>
    public async Task<bool> TagAsync(CheckpointName checkpoint, string tag, CancellationToken cancellationToken)
    {
        if (CheckpointName.VersionProblem(tag) is { } problem)
        {
            throw new TrackerException(TrackerError.Refused, $"this cannot be a tag: {problem}");
        }

        var body = WireFormats.TagRequest.Encode(new TagRequest(checkpoint.Version), BodyEncoding.MessagePack);
        var call = new TrackerCall(HttpMethod.Put, $"v1/tags/{checkpoint.Name}@{tag}", body);
        return Happened(await CallAsync(call, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>Removes a version (with the tags that point at it) or a tag from the catalog. False when there was none.</summary>
    public async Task<bool> RemoveAsync(CheckpointName checkpoint, CancellationToken cancellationToken)
    {
        // Sent a second time it would say that there was none: so not repeated once it may have arrived.
        var call = new TrackerCall(HttpMethod.Delete, $"v1/checkpoints/{checkpoint}", Repeatable: false);
        return Happened(await CallAsync(call, cancellationToken).ConfigureAwait(false));
    }

    /// <summary>The swarm of a checkpoint, with at most so many of its peers; null when there is no such checkpoint.</summary>
    public async Task<SwarmStatus?> SwarmAsync(CheckpointName checkpoint, int members, CancellationToken cancellationToken)
    {
        var path = string.Create(CultureInfo.InvariantCulture, $"v1/swarms/{checkpoint}?members={members}");
        var reply = await CallAsync(new TrackerCall(HttpMethod.Get, path), cancellationToken).ConfigureAwait(false);
        return IsNotFound(reply) ? null : Read(Accepted(reply), WireFormats.Swarm);
    }

    /// <summary>The live peers, by name.</summary>
    public async Task<IReadOnlyList<TrackedPeer>> PeersAsync(CancellationToken cancellationToken) =>
        Read(Accepted(await CallAsync(new TrackerCall(HttpMethod.Get, "v1/peers"), cancellationToken).ConfigureAwait(false)), WireFormats.Peers);

    /// <summary>The state of the tracker that answers.</summary>
    public async Task<TrackerStatus> StatusAsync(CancellationToken cancellationToken) =>
        Read(Accepted(await CallAsync(new TrackerCall(HttpMethod.Get, "v1/status"), cancellationToken).ConfigureAwait(false)), WireFormats.Status);

    public void Dispose() => _caller.Dispose();

    private Task<TrackerReply> CallAsync(TrackerCall call, CancellationToken cancellationToken) => _caller.CallAsync(call, cancellationToken);

    private static bool IsNotFound(TrackerReply reply) => reply.Status == 404 && ErrorOf(reply)?.Error == "not_found";

    private static bool Happened(TrackerReply reply) => !IsNotFound(reply) && Accepted(reply).Status is >= 200 and < 300;

    private static TrackerReply Accepted(TrackerReply reply)
    {
        if (reply.Status is >= 200 and < 300)
        {
            return reply;
        }

        if (ErrorOf(reply) is not { } error)
        {
            throw new TrackerException(TrackerError.Protocol, $"{reply.Tracker} answered with HTTP {reply.Status} and no reason; is another kind of server running there?");
        }

        throw reply.Status == 401
            ? new TrackerException(TrackerError.NotAllowed, $"{reply.Tracker} does not accept this cluster key: {error.Message}; set the same key as on the tracker")
            : new TrackerException(TrackerError.Refused, error.Message);
    }

    private static ErrorBody? ErrorOf(TrackerReply reply) => Bodies.ReadError(reply.Body);

    private static T Read<T>(TrackerReply reply, WireFormat<T> format)
    {
        try
        {
            return format.Decode(reply.Body, BodyEncoding.MessagePack);
        }
        catch (MessagePackSerializationException e)
        {
            throw new TrackerException(TrackerError.Protocol, $"the answer of {reply.Tracker} cannot be read: {e.Message}; is it of another version?", e);
        }
    }
}
