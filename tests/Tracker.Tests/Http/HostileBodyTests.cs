using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using P2PWeights.Testing;
using P2PWeights.Tracker.Http;
using P2PWeights.Tracker.Wire;

namespace P2PWeights.Tracker.Tests.Http;

/// <summary>Whatever is sent, the tracker answers with a refusal and its reason, and stays up.</summary>
public sealed class HostileBodyTests : IAsyncLifetime, IDisposable
{
    private readonly Seeded _seeded = new();
    private RunningTracker _tracker = null!;
    private HttpClient _http = null!;

    public async Task InitializeAsync()
    {
        _tracker = await RunningTracker.StartAsync();
        _http = new HttpClient { BaseAddress = _tracker.Address };
    }

    public async Task DisposeAsync()
    {
        Assert.Equal("ok\n", await _http.GetStringAsync("healthz"));
        Assert.Equal(0, (await _tracker.Client.StatusAsync(CancellationToken.None)).Checkpoints);
        await _tracker.DisposeAsync();
    }

    public void Dispose() => _http.Dispose();

    [Fact]
    public async Task Sync_cut_off_at_any_byte_is_refused()
    {
        foreach (var encoding in (BodyEncoding[])[BodyEncoding.MessagePack, BodyEncoding.Json])
        {
            var whole = WireFormats.SyncRequest.Encode(Sample(), encoding).ToArray();
            for (var length = 0; length < whole.Length; length += encoding == BodyEncoding.Json ? 7 : 1)
            {
                Assert.Equal((HttpStatusCode.BadRequest, "bad_request"), await SendAsync("v1/sync", whole[..length], encoding));
            }

            Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync("v1/sync", [.. whole, 0xc0], encoding)).Status);
            Assert.Equal(HttpStatusCode.OK, (await SendAsync("v1/sync", whole, encoding)).Status);
        }
    }

    [Fact]
    public async Task Sync_with_bytes_changed_at_random_is_taken_or_refused()
    {
        foreach (var encoding in (BodyEncoding[])[BodyEncoding.MessagePack, BodyEncoding.Json])
        {
            var whole = WireFormats.SyncRequest.Encode(Sample(), encoding).ToArray();
            for (var round = 0; round < 400; round++)
            {
                var bytes = whole.ToArray();
                for (var changes = _seeded.Random.Next(1, 4); changes > 0; changes--)
                {
                    bytes[_seeded.Random.Next(bytes.Length)] = (byte)_seeded.Random.Next(256);
                }

                var (status, _) = await SendAsync("v1/sync", bytes, encoding);
                Assert.True(status is HttpStatusCode.OK or HttpStatusCode.BadRequest, $"{status} for {Convert.ToHexString(bytes)}, {_seeded}");
            }
        }
    }

    [Theory]
    [InlineData("ddffffffff")] // an array of 2^32-1
    [InlineData("dfffffffff")] // a map of 2^32-1
    [InlineData("81a6676169")] // a key cut off
    [InlineData("81a6676169" + "6e6564" + "dd00ffffff")] // gained: 16 million digests, none there
    [InlineData("81a6676169" + "6e6564" + "91c5ffff")] // a digest of 65535 bytes, none there
    [InlineData("81a6676169" + "6e6564" + "c0")] // nil for an array
    [InlineData("c0")]
    [InlineData("c1")]
    [InlineData("80")]
    [InlineData("")]
    public async Task Sync_lying_lengths_and_wrong_kinds_are_refused(string hex) =>
        Assert.Equal((HttpStatusCode.BadRequest, "bad_request"), await SendAsync("v1/sync", Convert.FromHexString(hex), BodyEncoding.MessagePack));

    [Fact]
    public async Task Sync_nested_without_end_is_refused()
    {
        byte[] unknownKey = [0x81, 0xa1, (byte)'x'];
        byte[] deep = [.. unknownKey, .. Enumerable.Repeat((byte)0x91, 1_000_000)];
        Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync("v1/sync", deep, BodyEncoding.MessagePack)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await SendAsync("v1/sync", Encoding.UTF8.GetBytes(new string('[', 1_000_000)), BodyEncoding.Json)).Status);
    }

    [Fact]
    public async Task Slow_senders_of_manifests_hold_up_nobody_and_announced_lengths_cost_nothing()
    {
        var slow = new List<TcpClient>();
        try
        {
            var before = GC.GetTotalAllocatedBytes();
            for (var i = 0; i < 48; i++)
            {
                await AnnounceAsync(string.Create(CultureInfo.InvariantCulture, $"PUT /v1/manifests/{Make.Digest($"slow-{i}")}"), 100 << 20);
                await AnnounceAsync("POST /v1/sync", 64 << 20);
            }

            var manifest = Make.Manifest("quick");
            await _tracker.Client.PutManifestAsync(manifest, CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(20));

            Assert.NotNull(await _tracker.Client.GetManifestAsync(manifest.Digest, CancellationToken.None));
            var allocated = GC.GetTotalAllocatedBytes() - before;
            Assert.True(allocated < 2L << 30, $"{allocated} bytes allocated, by all tests that ran meanwhile, for 7872 MiB that were announced and never sent");
        }
        finally
        {
            slow.ForEach(client => client.Dispose());
        }

        async Task AnnounceAsync(string request, int length)
        {
            var client = new TcpClient();
            slow.Add(client);
            await client.ConnectAsync(IPAddress.Loopback, _tracker.Address.Port);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes(
                string.Create(CultureInfo.InvariantCulture, $"{request} HTTP/1.1\r\nHost: t\r\nContent-Type: application/msgpack\r\nContent-Length: {length}\r\n\r\nx")));
        }
    }

    [Theory]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"manifest":null}""")]
    [InlineData("""{"manifest":5}""")]
    [InlineData("""{"manifest":"00"}""")]
    [InlineData("""{"manifest":"00","manifest":"00"}""")]
    [InlineData("not json")]
    public async Task Publish_wrong_json_is_refused(string body) => Assert.Equal(
        (HttpStatusCode.BadRequest, "bad_request"), await SendAsync("v1/checkpoints/m@v1", Encoding.UTF8.GetBytes(body), BodyEncoding.Json, HttpMethod.Put));

    [Theory]
    [InlineData("m")]
    [InlineData("m@")]
    [InlineData("@v1")]
    [InlineData("m@v1@v2")]
    [InlineData("-m@v1")]
    [InlineData("m/../x@v1")]
    [InlineData("m%00@v1")]
    [InlineData("m%20x@v1")]
    [InlineData("%2F%2Fm@v1")]
    [InlineData("m@v%2F1")]
    public async Task Names_that_are_none_are_refused(string name)
    {
        foreach (var method in (HttpMethod[])[HttpMethod.Get, HttpMethod.Delete, HttpMethod.Put])
        {
            using var request = new HttpRequestMessage(method, new Uri(_tracker.Address + "v1/checkpoints/" + name, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
            request.Content = method == HttpMethod.Put ? new StringContent($$"""{"manifest":"{{Make.Digest("x")}}"}""", Encoding.UTF8, "application/json") : null;
            using var response = await _http.SendAsync(request);
            Assert.True(response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.NotFound, $"{method} {name}: {response.StatusCode}");
        }
    }

    [Fact]
    public async Task Peers_that_describe_themselves_beyond_measure_are_refused()
    {
        var sample = Sample();
        var peer = sample.Peer;
        string text = new('x', 10_000);
        SyncRequest[] requests =
        [
            sample with { Peer = peer with { Id = Guid.Empty } },
            sample with { Peer = peer with { Name = text } },
            sample with { Peer = peer with { Name = "a\nb" } },
            sample with { Peer = peer with { HostId = text } },
            sample with { Peer = peer with { Endpoints = ["no-port"] } },
            sample with { Peer = peer with { Endpoints = ["host:0"] } },
            sample with { Peer = peer with { Endpoints = ["host:65536"] } },
            sample with { Peer = peer with { Endpoints = ["ho st:1"] } },
            sample with { Peer = peer with { Endpoints = ["::1:7400"] } },
            sample with { Peer = peer with { Endpoints = [.. Enumerable.Repeat("h:1", 100)] } },
            sample with { Peer = peer with { Labels = peer.Labels.Add("k", text) } },
            sample with { Peer = peer with { Labels = peer.Labels.AddRange(Enumerable.Range(0, 100).Select(i => KeyValuePair.Create(i.ToString(CultureInfo.InvariantCulture), ""))) } },
            sample with { Swarms = [.. Enumerable.Range(0, 1000).Select(i => new SwarmHoldings(Make.Digest($"{i}"), new byte[1]))] },
            sample with { Left = [.. Enumerable.Range(0, 1000).Select(i => Make.Digest($"{i}"))] },
            sample with { Pulls = [.. Enumerable.Range(0, 1000).Select(i => new SwarmPull(Make.Digest($"{i}"), 0, 0, 0, ""))] },
            sample with { Pulls = [new SwarmPull(Make.Digest("m"), -1, 0, 0, "")] },
            sample with { Pulls = [new SwarmPull(Make.Digest("m"), 0, -1, 0, "")] },
            sample with { Pulls = [new SwarmPull(Make.Digest("m"), 0, 0, -1, "")] },
            sample with { Pulls = [new SwarmPull(Make.Digest("m"), 0, 0, 0, text)] },
            sample with { Sequence = -1 },
            sample with { EventsAfter = -1 },
            sample with { LoadBytesPerSecond = -1 },
        ];
        foreach (var (index, request) in requests.Index())
        {
            foreach (var encoding in (BodyEncoding[])[BodyEncoding.MessagePack, BodyEncoding.Json])
            {
                var (status, code) = await SendAsync("v1/sync", WireFormats.SyncRequest.Encode(request, encoding).ToArray(), encoding);
                Assert.True(status == HttpStatusCode.BadRequest && code == "bad_request", $"request {index}: {status}");
            }
        }

        Assert.Empty(await _tracker.Client.PeersAsync(CancellationToken.None));
        Assert.Equal(HttpStatusCode.OK, (await SendAsync("v1/sync", WireFormats.SyncRequest.Encode(sample with { Peer = peer with { Endpoints = ["[::1]:7400", "node-1.example:1"] } }, BodyEncoding.Json).ToArray(), BodyEncoding.Json)).Status);
    }

    [Fact]
    public async Task Bodies_beyond_the_limit_are_refused_announced_or_not()
    {
        using var announced = new HttpRequestMessage(HttpMethod.Put, "v1/checkpoints/m@v1") { Content = new ByteArrayContent(new byte[TrackerApi.MaxSmallBytes + 1]) };
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await _http.SendAsync(announced)).StatusCode);

        using var chunked = new HttpRequestMessage(HttpMethod.Put, "v1/checkpoints/m@v1") { Content = new StreamContent(new MemoryStream(new byte[TrackerApi.MaxSmallBytes + 1])) };
        chunked.Headers.TransferEncodingChunked = true;
        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, (await _http.SendAsync(chunked)).StatusCode);

        // Only announced: the tracker does not wait for a gigabyte that never comes.
        using var socket = new TcpClient();
        await socket.ConnectAsync(IPAddress.Loopback, _tracker.Address.Port);
        await socket.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"PUT /v1/manifests/{Make.Digest("x")} HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n"));
        using var reader = new StreamReader(socket.GetStream());
        Assert.StartsWith("HTTP/1.1 413", await reader.ReadLineAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unknown_media_types_and_routes_are_refused_with_a_reason()
    {
        using var content = new StringContent("<sync/>", Encoding.UTF8, "application/xml");
        Assert.Equal(HttpStatusCode.UnsupportedMediaType, (await _http.PostAsync("v1/sync", content)).StatusCode);
        using var wrongMethod = await _http.PostAsync("v1/status", null);
        Assert.Equal(HttpStatusCode.NotFound, wrongMethod.StatusCode);
        Assert.Contains("POST /v1/status", await wrongMethod.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.BadRequest, (await _http.GetAsync("v1/manifests/xyz")).StatusCode);
    }

    [Fact]
    public async Task Connections_that_are_no_http_do_no_harm()
    {
        foreach (var bytes in (byte[][])["PRI * HTTP/1.1\r\n\r\n"u8.ToArray(), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray(), _seeded.Bytes(1000), "PR"u8.ToArray(), []])
        {
            using var socket = new TcpClient();
            await socket.ConnectAsync(IPAddress.Loopback, _tracker.Address.Port);
            try
            {
                await using var stream = socket.GetStream();
                await stream.WriteAsync(bytes);
                socket.Client.Shutdown(SocketShutdown.Send);
                await stream.CopyToAsync(Stream.Null);
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // Reset by the tracker: as good as closed.
            }
        }
    }

    private static SyncRequest Sample() => Make.FullSync(Make.Peer(1, "host", ("rack", "r")), 1, [Make.Digest("a"), Make.Digest("b")], Make.Manifest("m", 3)) with
    {
        Lost = [Make.Digest("c")],
        Left = [Make.Digest("left")],
        Pulls = [new SwarmPull(Make.Manifest("m", 3).Digest, 7, 1000, 123_456_789_012, "tcp")],
        LoadBytesPerSecond = 123_456_789_012,
        EventsAfter = 3,
    };

    private async Task<(HttpStatusCode Status, string Code)> SendAsync(string path, byte[] body, BodyEncoding encoding, HttpMethod? method = null)
    {
        using var request = new HttpRequestMessage(method ?? HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(encoding == BodyEncoding.Json ? Bodies.JsonType : Bodies.MessagePackType);
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue(Bodies.MessagePackType));
        using var response = await _http.SendAsync(request);
        var answer = await response.Content.ReadAsByteArrayAsync();
        return (response.StatusCode, response.IsSuccessStatusCode ? "" : WireFormats.Error.Decode(answer, BodyEncoding.MessagePack).Error);
    }
}
