using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using P2PWeights.Tracker.Http;
using P2PWeights.Tracker.Wire;

namespace P2PWeights.Tracker.Tests.Http;

/// <summary>The API as docs/protocol.md describes it, over both protocols and in both encodings.</summary>
public sealed class HttpContractTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Curl_speaks_http1_and_http2_on_the_same_port()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var status = new Uri(tracker.Address, "v1/status").ToString();

        foreach (var (option, version) in ((string, string)[])[("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")])
        {
            var output = await Curl.RunAsync(option, "-w", "\n%{http_version} %{http_code} %{content_type}", status);
            var lines = output.Split('\n');
            Assert.Equal($"{version} 200 application/json", lines[1]);
            Assert.Equal("0.1.0", JsonDocument.Parse(lines[0]).RootElement.GetProperty("version").GetString());
        }
    }

    [Fact]
    public async Task Start_warns_of_nothing()
    {
        var log = new Warnings();
        using var loggers = new LoggerFactory([log]);
        await using var tracker = await RunningTracker.StartAsync(loggers: loggers);

        Assert.Equal("ok", (await Curl.RunAsync("--http2-prior-knowledge", new Uri(tracker.Address, "healthz").ToString())).Trim());
        Assert.Empty(log.Seen);
    }

    [Fact]
    public async Task Curl_publishes_tags_and_removes_with_json_alone()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a", 2);
        await tracker.Client.PutManifestAsync(manifest, None);
        await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(manifest), manifest), None);
        var checkpoint = new Uri(tracker.Address, "v1/checkpoints/org/m@v1").ToString();
        var body = $$"""{"manifest":"{{manifest.Digest}}"}""";

        Assert.Equal("""{"outcome":"published","missingShards":0,"existing":null}""", await Curl.RunAsync("-X", "PUT", "-d", body, checkpoint));
        Assert.Equal("204", await Curl.RunAsync("-w", "%{http_code}", "-X", "PUT", "-d", """{"version":"v1"}""", new Uri(tracker.Address, "v1/tags/org/m@latest").ToString()));
        var found = JsonDocument.Parse(await Curl.RunAsync(new Uri(tracker.Address, "v1/checkpoints/org%2Fm@latest").ToString())).RootElement;
        Assert.Equal("v1", found.GetProperty("version").GetString());
        Assert.Equal("latest", found.GetProperty("tags")[0].GetString());
        Assert.Equal(1, found.GetProperty("completePeers").GetInt32());
        Assert.Equal("204", await Curl.RunAsync("-w", "%{http_code}", "-X", "DELETE", checkpoint));
        Assert.Equal(
            """{"error":"not_found","message":"there is no checkpoint org/m@v1"}404""",
            await Curl.RunAsync("-w", "%{http_code}", checkpoint));
    }

    [Fact]
    public async Task Answers_are_the_same_in_both_encodings()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a", 70);
        var peer = Make.Peer(1, "host", ("rack", "r1"), ("zone", "z1"));
        await tracker.Client.PutManifestAsync(manifest, None);
        await tracker.Client.SyncAsync(Make.FullSync(peer, 1, Make.ShardsOf(manifest), manifest), None);
        await tracker.Client.PublishAsync(Make.Checkpoint("m@v1"), manifest.Digest, None);
        using var http = new HttpClient { BaseAddress = tracker.Address };

        await SameAsync(http, "v1/checkpoints", WireFormats.Checkpoints);
        await SameAsync(http, "v1/checkpoints?name=m", WireFormats.Checkpoints);
        await SameAsync(http, "v1/checkpoints/m@v1", WireFormats.Checkpoint);
        await SameAsync(http, "v1/checkpoints/m@v2", WireFormats.Error);
        await SameAsync(http, "v1/suggest/m@v2", WireFormats.Names);
        await SameAsync(http, "v1/nothing", WireFormats.Error);
        var peers = await GetAsync(http, "v1/peers", WireFormats.Peers, BodyEncoding.Json);
        Assert.Equal(
            Json(WireFormats.Peers, [.. peers.Select(tracked => tracked with { AgeMs = 0 })]),
            Json(WireFormats.Peers, [.. (await GetAsync(http, "v1/peers", WireFormats.Peers, BodyEncoding.MessagePack)).Select(tracked => tracked with { AgeMs = 0 })]));
    }

    [Fact]
    public async Task Sync_means_the_same_in_both_encodings()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a", 70);
        await tracker.Client.PutManifestAsync(manifest, None);
        await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(1, "h", ("rack", "r1")), 1, Make.ShardsOf(manifest).Take(33), manifest), None);
        using var http = new HttpClient { BaseAddress = tracker.Address };
        var sync = Make.FullSync(Make.Peer(2), 1, Make.ShardsOf(manifest).Skip(30), manifest, Make.Manifest("unknown", 3)).Pulling(manifest);

        var answers = new List<string>();
        foreach (var sent in (BodyEncoding[])[BodyEncoding.MessagePack, BodyEncoding.Json])
        {
            foreach (var asked in (BodyEncoding[])[BodyEncoding.MessagePack, BodyEncoding.Json])
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, "v1/sync") { Content = Content(WireFormats.SyncRequest, sync, sent) };
                request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(TypeOf(asked)));
                using var response = await http.SendAsync(request);
                Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                Assert.Equal(TypeOf(asked), response.Content.Headers.ContentType!.MediaType);
                answers.Add(Json(WireFormats.SyncResponse, WireFormats.SyncResponse.Decode(await response.Content.ReadAsByteArrayAsync(), asked)));
            }
        }

        // Taken once and repeated; what is scarce is said the first time only.
        Assert.Single(answers.Skip(1).Distinct());
        var answer = JsonDocument.Parse(answers[0]).RootElement;
        var view = answer.GetProperty("swarms")[0];
        Assert.Equal(manifest.Digest.ToString(), view.GetProperty("manifest").GetString());
        Assert.Equal("n1", view.GetProperty("neighbours")[0].GetProperty("name").GetString());
        Assert.Equal(Make.Manifest("unknown", 3).Digest.ToString(), answer.GetProperty("unknown")[0].GetString());
        var safe = Make.ShardsOf(manifest).Skip(30).Take(3).ToHashSet();
        Assert.Equal(Make.Bits(manifest, shard => !safe.Contains(shard)), answer.GetProperty("scarce").GetProperty("shards").GetBytesFromBase64());
    }

    [Fact]
    public void Neighbour_named_twice_in_an_answer_is_read_once()
    {
        var (first, second) = (Make.Peer(1), Make.Peer(2));
        var answer = new SyncResponse(1000, 100, false, 1, [new SwarmView(Make.Digest("m"), 3, 1, [first, second, first with { Name = "again" }])], [], null, []);
        var read = WireFormats.SyncResponse.Decode(WireFormats.SyncResponse.Encode(answer, BodyEncoding.MessagePack), BodyEncoding.MessagePack);
        Assert.Equal(["n1", "n2"], Assert.Single(read.Swarms).Neighbours!.Value.Select(peer => peer.Name));
    }

    [Fact]
    public async Task Swarm_is_described_with_those_first_that_have_most_left()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a", 10);
        await tracker.Client.PutManifestAsync(manifest, None);
        await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(1), 1, Make.ShardsOf(manifest), manifest), None);
        await tracker.Client.PublishAsync(Make.Checkpoint("m@v1"), manifest.Digest, None);
        foreach (var (peer, done) in ((int, int)[])[(2, 6), (3, 2)])
        {
            var sync = Make.FullSync(Make.Peer(peer), 1, Make.ShardsOf(manifest).Take(done), manifest);
            await tracker.Client.SyncAsync(sync with { Pulls = [new SwarmPull(manifest.Digest, 0, done * 1000, 10_000, "tcp")] }, None);
        }

        var all = (await tracker.Client.SwarmAsync(Make.Checkpoint("m@v1"), 100, None))!;
        Assert.Equal(("m@v1", manifest.Digest, 10_000L, 10, 10, 3, 1, 2), (all.Checkpoint, all.Manifest, all.Bytes, all.Shards, all.AvailableShards, all.Peers, all.CompletePeers, all.PullingPeers));
        Assert.Equal([("n3", 2, true, 2000L), ("n2", 6, true, 6000L), ("n1", 10, false, 0L)], all.Members.Select(member => (member.Name, member.Shards, member.Pulling, member.BytesDone)));
        using var http = new HttpClient { BaseAddress = tracker.Address };
        var one = await GetAsync(http, "v1/swarms/m@v1?members=1", WireFormats.Swarm, BodyEncoding.Json);
        Assert.Equal((3, "n3"), (one.Peers, Assert.Single(one.Members).Name));
        Assert.Null(await tracker.Client.SwarmAsync(Make.Checkpoint("m@v2"), 100, None));
        Assert.Equal(HttpStatusCode.BadRequest, (await http.GetAsync("v1/swarms/m@v1?members=x")).StatusCode);
    }

    [Fact]
    public async Task Manifest_is_served_as_the_bytes_that_came()
    {
        await using var tracker = await RunningTracker.StartAsync();
        var manifest = Make.Manifest("a", 5000);
        using var http = new HttpClient { BaseAddress = tracker.Address };
        var path = $"v1/manifests/{manifest.Digest}";

        Assert.Equal(HttpStatusCode.NotFound, (await http.GetAsync(path)).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await http.PutAsync(path, new ByteArrayContent(manifest.Encoded.ToArray()))).StatusCode);
        Assert.Equal(HttpStatusCode.NoContent, (await http.PutAsync(path, new ByteArrayContent([]))).StatusCode);
        Assert.Equal(manifest.Encoded.ToArray(), await http.GetByteArrayAsync(path));
        Assert.Null(await tracker.Client.GetManifestAsync(Make.Digest("none"), None));
    }

    [Fact]
    public async Task Cluster_key_every_route_but_health_needs_the_token()
    {
        await using var tracker = await RunningTracker.StartAsync(clusterKey: "secret");
        using var http = new HttpClient { BaseAddress = tracker.Address };

        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync("healthz")).StatusCode);
        foreach (var path in (string[])["v1/status", "v1/checkpoints", "metrics", "v1/nothing", "v1/peers"])
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await http.GetAsync(path)).StatusCode);
        }

        foreach (var header in (string[])["Bearer", "Bearer x", $"Basic {ClusterToken.Of("secret")}", $"Bearer {ClusterToken.Of("Secret")}", $"Bearer {ClusterToken.Of("secret")}x"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, "v1/status");
            request.Headers.TryAddWithoutValidation("Authorization", header);
            Assert.Equal(HttpStatusCode.Unauthorized, (await http.SendAsync(request)).StatusCode);
        }

        Assert.Equal(0, (await tracker.Client.StatusAsync(None)).Peers);
        using var wrong = new TrackerClient([tracker.Address], "other", TimeProvider.System);
        var e = await Assert.ThrowsAsync<TrackerException>(() => wrong.StatusAsync(None));
        Assert.Equal(TrackerError.NotAllowed, e.Error);
    }

    [Fact]
    public async Task Metrics_count_what_happened()
    {
        await using var tracker = await RunningTracker.StartAsync();
        await tracker.Client.SyncAsync(Make.FullSync(Make.Peer(1), 1, [Make.Digest("x")]), None);
        await tracker.Client.SyncAsync(Make.Sync(Make.Peer(2), 1, [], []), None);

        var text = await Curl.RunAsync(new Uri(tracker.Address, "metrics").ToString());

        Assert.Contains("# TYPE p2pw_tracker_syncs_total counter\np2pw_tracker_syncs_total{outcome=\"resync\"} 1\np2pw_tracker_syncs_total{outcome=\"taken\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("\np2pw_tracker_peers 1\n", text, StringComparison.Ordinal);
        Assert.Contains("\np2pw_tracker_shards 1\n", text, StringComparison.Ordinal);
        Assert.Contains("p2pw_tracker_request_duration_seconds_count{route=\"POST /v1/sync\",status=\"200\"} 2\n", text, StringComparison.Ordinal);
    }

    private static async Task SameAsync<T>(HttpClient http, string path, WireFormat<T> format) => Assert.Equal(
        Json(format, await GetAsync(http, path, format, BodyEncoding.Json)), Json(format, await GetAsync(http, path, format, BodyEncoding.MessagePack)));

    private static async Task<T> GetAsync<T>(HttpClient http, string path, WireFormat<T> format, BodyEncoding encoding)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(TypeOf(encoding)));
        using var response = await http.SendAsync(request);
        Assert.Equal(TypeOf(encoding), response.Content.Headers.ContentType!.MediaType);
        return format.Decode(await response.Content.ReadAsByteArrayAsync(), encoding);
    }

    private static ReadOnlyMemoryContent Content<T>(WireFormat<T> format, T value, BodyEncoding encoding)
    {
        var content = new ReadOnlyMemoryContent(format.Encode(value, encoding));
        content.Headers.ContentType = new MediaTypeHeaderValue(TypeOf(encoding));
        return content;
    }

    private static string TypeOf(BodyEncoding encoding) => encoding == BodyEncoding.Json ? Bodies.JsonType : Bodies.MessagePackType;

    private static string Json<T>(WireFormat<T> format, T value) => System.Text.Encoding.UTF8.GetString(format.Encode(value, BodyEncoding.Json).Span);

    /// <summary>Keeps what is worth a look, of all that the tracker and what it stands on log.</summary>
    private sealed class Warnings : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Seen { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (IsEnabled(logLevel))
            {
                Seen.Enqueue(formatter(state, exception));
            }
        }

        public void Dispose()
        {
        }
    }
}
