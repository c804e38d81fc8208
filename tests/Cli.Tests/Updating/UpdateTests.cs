using System.Security.Cryptography;
using System.Text.Json;
using P2PWeights.Cli.Tests.Support;
using P2PWeights.Client;
using P2PWeights.Testing;

namespace P2PWeights.Cli.Tests.Updating;

/// <summary><c>p2pw update</c> from the outside: processes of tracker and nodes, and an engine in Python with the package <c>p2pweights</c>.</summary>
public sealed class UpdateTests : IAsyncLifetime
{
    /// <summary>Listens, takes updates until its input ends, and prints the SHA-256 of what it holds. It may be told to go wrong in a way of its own.</summary>
    private const string Script = """
        import hashlib, json, sys, threading
        from p2pweights.engine import Callback, Engine
        held, faults = {}, sys.argv[2:]

        def load(tensors):
            if "hold" in faults:
                print(json.dumps("loading"), flush=True)
                threading.Event().wait()
            if "refuse" in faults:
                faults.remove("refuse")
                raise ValueError("no room for it here")
            for tensor in tensors:
                held[tensor.name] = bytearray(tensor.data)

        def finish():
            if "alter" in faults:
                held["b"][-1] ^= 1
            if "drop" in faults:
                del held["c"]

        with Engine(Callback(load, finish=finish, read=None if "blind" in faults else held.__getitem__), listen=sys.argv[1]) as engine:
            engine.start()
            print(json.dumps(engine.url), flush=True)
            sys.stdin.read()
        print(json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in held.items()}))
        """;

    private Cluster _cluster = null!;
    private ClusterNode _publisher = null!;
    private ClusterNode _node = null!;
    private string _weights = null!;
    private int _engines;

    public async Task InitializeAsync()
    {
        _cluster = await Cluster.StartAsync();
        _publisher = await _cluster.StartNodeAsync("publisher");
        _node = await _cluster.StartNodeAsync("host");
        var folder = SmallCheckpoint.Write(_cluster.Folder["small"], 2 << 20);
        _weights = Path.Combine(folder, "model.safetensors");
        (await P2pw.RunAsync("publish", folder, "small@1", "--node", _publisher.Socket)).Expect(0);
    }

    public Task DisposeAsync()
    {
        _cluster.Dispose();
        return Task.CompletedTask;
    }

    [Fact]
    public async Task Engine_holds_what_another_node_published_after_update()
    {
        await using var engine = await StartEngineAsync();

        var report = (await P2pw.RunAsync("update", "small@1", "--engine", engine.Url, "--node", _node.Socket, "--json")).Expect(0).Json;

        Assert.Equal("updated", Assert.Single(report.GetProperty("engines").EnumerateArray()).GetProperty("state").GetString());
        Assert.True(report.GetProperty("bytes_per_second").GetDouble() > 0);
        var stages = report.GetProperty("stages").EnumerateArray().Select(stage => stage.GetProperty("name").GetString()!).ToList();
        Assert.Equal(["prepare", "pull", "open", "copy", "exchange", "load", "finish"], stages);
        Assert.Contains(report.GetProperty("limit").GetString()!, stages);
        var path = Assert.Single(report.GetProperty("pull").GetProperty("paths").EnumerateArray(), path => path.GetProperty("bytes").GetInt64() > 0);
        Assert.True(path.GetProperty("bytes").GetInt64() >= 1 << 20, path.ToString());
        var held = Assert.Single(await engine.Process.EndAsync());
        var data = File.ReadAllBytes(_weights)[^(1 << 20)..];
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(data)), held.GetProperty("w").GetString());
    }

    [Fact]
    public async Task Engine_that_raises_is_named_with_its_traceback_and_the_next_update_mends_it()
    {
        await using var engine = await StartEngineAsync("refuse");

        var failed = (await P2pw.RunAsync("update", "small@1", "--engine", engine.Url, "--node", _node.Socket)).Expect(1);
        Assert.Contains("updated 0 of 1 engine", failed.Output, StringComparison.Ordinal);
        Assert.Contains("no room for it here", failed.Output, StringComparison.Ordinal);

        (await P2pw.RunAsync("update", "small@1", "--engine", engine.Url, "--node", _node.Socket)).Expect(0);
    }

    [Theory]
    [InlineData("--json")]
    [InlineData("--verify")]
    public async Task Update_whose_last_source_is_gone_breaks_off_and_reports_what_each_engine_holds(string option)
    {
        await using var engine = await StartEngineAsync();
        var impatient = await _cluster.StartNodeAsync("impatient", "--no-source-timeout", "1s");
        await _publisher.Process.KillAsync();

        var outcome = (await P2pw.RunAsync("update", "small@1", "--engine", engine.Url, "--node", impatient.Socket, option)).Expect(5);

        Assert.Contains("p2pw: the update broke off: ", outcome.Error, StringComparison.Ordinal);
        if (option == "--json")
        {
            Assert.Equal(("no_peers", false, false), (outcome.Json.GetProperty("failure").GetProperty("error").GetString(), outcome.Json.GetProperty("complete").GetBoolean(), outcome.Json.GetProperty("cancelled").GetBoolean()));
            Assert.Equal("untouched", Assert.Single(outcome.Json.GetProperty("engines").EnumerateArray()).GetProperty("state").GetString());
            Assert.Equal(0, outcome.Json.GetProperty("bytes_per_second").GetDouble());
        }
        else
        {
            Assert.DoesNotContain("of model", outcome.Output, StringComparison.Ordinal);
            Assert.Contains("broken off: updated 0 of 1 engine", outcome.Output, StringComparison.Ordinal);
            Assert.Contains($"untouched {engine.Url}", outcome.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Update_that_breaks_off_during_its_pull_reports_what_was_pulled()
    {
        var source = await _cluster.StartNodeAsync("source", "--upload-limit", "2MiB");
        var folder = SmallCheckpoint.Write(_cluster.Folder["slow"], 24 << 20);
        (await P2pw.RunAsync("publish", folder, "slow@1", "--max-shard", "1MiB", "--node", source.Socket)).Expect(0);
        await using var engine = await StartEngineAsync();
        var consumer = await _cluster.StartNodeAsync("consumer", "--no-source-timeout", "8s");
        using var updating = _cluster.Run("update", "slow@1", "--engine", engine.Url, "--node", consumer.Socket, "--json");
        using var client = new NodeClient(consumer.Socket);
        await Eventually.HoldsAsync(
            async () => (await client.StatusAsync(CancellationToken.None)).Pulls.Any(pull => pull.Progress.BytesDone >= 2 << 20), "2 MiB of the update's pull are verified");

        await source.Process.KillAsync();

        var report = (await updating.FinishAsync()).Expect(5).Json;
        Assert.True(report.GetProperty("pull").GetProperty("bytes_fetched").GetInt64() >= 2 << 20, report.ToString());
        Assert.Contains("pull", report.GetProperty("stages").EnumerateArray().Select(stage => stage.GetProperty("name").GetString()));
        Assert.Equal("pull", report.GetProperty("limit").GetString());
    }

    [Theory]
    [InlineData("--json")]
    [InlineData("--verify")]
    public async Task Interrupted_update_reports_what_each_engine_holds(string option)
    {
        await using var engine = await StartEngineAsync("hold");
        using var updating = P2pw.Start(new Dictionary<string, string?>(), "update", "small@1", "--engine", engine.Url, "--node", _node.Socket, option);
        Assert.Equal("loading", (await engine.Process.ReadAsync()).GetString());

        updating.Signal(Native.Posix.PosixSignalNumber.Interrupt);

        var outcome = (await updating.FinishAsync()).Expect(130);
        Assert.Contains("interrupted", outcome.Error, StringComparison.Ordinal);
        if (option == "--json")
        {
            Assert.True(outcome.Json.GetProperty("cancelled").GetBoolean());
            Assert.Equal("torn", Assert.Single(outcome.Json.GetProperty("engines").EnumerateArray()).GetProperty("state").GetString());
        }
        else
        {
            Assert.Contains("cancelled: updated 0 of 1 engine", outcome.Output, StringComparison.Ordinal);
            Assert.Contains($"torn      {engine.Url}", outcome.Output, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Engine_that_is_killed_during_an_update_is_torn_and_the_others_hold_it()
    {
        await using var killed = await StartEngineAsync("hold");
        await using var other = await StartEngineAsync();
        using var updating = P2pw.Start(new Dictionary<string, string?>(), "update", "small@1", "--engine", killed.Url, "--engine", other.Url, "--node", _node.Socket, "--json");
        Assert.Equal("loading", (await killed.Process.ReadAsync()).GetString());

        killed.Process.Kill();

        var outcome = (await updating.FinishAsync()).Expect(1);
        var engines = outcome.Json.GetProperty("engines").EnumerateArray().ToList();
        Assert.Equal([(killed.Url, "torn"), (other.Url, "updated")], engines.Select(engine => (engine.GetProperty("name").GetString(), engine.GetProperty("state").GetString())));
    }

    [Fact]
    public async Task Verify_reads_every_tensor_back()
    {
        await using var engine = await StartEngineAsync();

        var result = (await UpdateThreeTensorsAsync(engine)).Expect(0);

        var report = result.Json;
        Assert.True(report.GetProperty("verified").GetBoolean());
        Assert.True(report.GetProperty("verify_seconds").GetDouble() >= 0);
        var verification = VerificationIn(report);
        Assert.Equal(("verified", 3), (verification.GetProperty("outcome").GetString(), verification.GetProperty("equal").GetInt32()));
        var text = (await UpdateThreeTensorsAsync(engine, "")).Expect(0).Output;
        Assert.Contains("verified: 3 of 3 tensors, read back, are the checkpoint's", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_names_the_tensors_that_an_engine_altered_or_lost()
    {
        await using var engine = await StartEngineAsync("alter", "drop");

        var report = (await UpdateThreeTensorsAsync(engine)).Expect(4).Json;

        Assert.False(report.GetProperty("verified").GetBoolean());
        Assert.True(report.GetProperty("complete").GetBoolean(), "the engine acknowledged everything");
        var verification = VerificationIn(report);
        Assert.Equal(("differs", 1), (verification.GetProperty("outcome").GetString(), verification.GetProperty("equal").GetInt32()));
        Assert.Equal("b", Assert.Single(verification.GetProperty("differing").GetProperty("first").EnumerateArray()).GetString());
        Assert.Equal("c", Assert.Single(verification.GetProperty("missing").GetProperty("first").EnumerateArray()).GetString());

        var text = (await UpdateThreeTensorsAsync(engine, "")).Expect(4).Output;
        Assert.Contains("other bytes: b", text, StringComparison.Ordinal);
        Assert.Contains("not held: c", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Verify_says_when_an_engine_cannot_read_back()
    {
        await using var engine = await StartEngineAsync("blind");

        var report = (await UpdateThreeTensorsAsync(engine)).Expect(1).Json;

        Assert.False(report.GetProperty("verified").GetBoolean());
        var verification = VerificationIn(report);
        Assert.Equal("unsupported", verification.GetProperty("outcome").GetString());
        Assert.Contains("its Callback has no read", verification.GetProperty("reason").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_updated_is_refused_with_the_reason()
    {
        var nobody = $"python+unix://{_cluster.Folder["nobody.sock"]}";
        Assert.Contains("nobody.sock", (await P2pw.RunAsync("update", "small@1", "--engine", nobody, "--node", _node.Socket)).Expect(1).Error, StringComparison.Ordinal);
        Assert.Contains("ftp://", (await P2pw.RunAsync("update", "small@1", "--engine", "ftp://x", "--node", _node.Socket)).Expect(2).Error, StringComparison.Ordinal);
        (await P2pw.RunAsync("update", "small@1", "--engine", nobody, "--tracker", _cluster.Tracker)).Expect(2);

        await using var engine = await StartEngineAsync();
        Assert.Contains("small@1", (await P2pw.RunAsync("update", "small@2", "--engine", engine.Url, "--node", _node.Socket)).Expect(3).Error, StringComparison.Ordinal);
    }

    /// <summary>Publishes a, b and c, once, and updates an engine with them.</summary>
    private async Task<Outcome> UpdateThreeTensorsAsync(RunningEngine engine, string form = "--json")
    {
        var folder = _cluster.Folder["three"];
        if (!Directory.Exists(folder))
        {
            Directory.CreateDirectory(folder);
            SmallCheckpoint.WriteSafetensors(
                Path.Combine(folder, "model.safetensors"),
                """{"a":{"dtype":"U8","shape":[1000],"data_offsets":[0,1000]},"b":{"dtype":"BF16","shape":[3,500000],"data_offsets":[1000,3001000]},"c":{"dtype":"F32","shape":[],"data_offsets":[3001000,3001004]}}""",
                new Seeded(3).Bytes(3_001_004));
            (await P2pw.RunAsync("publish", folder, "three@1", "--node", _node.Socket)).Expect(0);
        }

        return await P2pw.RunAsync(["update", "three@1", "--engine", engine.Url, "--node", _node.Socket, "--verify", .. form.Length > 0 ? [form] : Array.Empty<string>()]);
    }

    private static JsonElement VerificationIn(JsonElement report) => Assert.Single(report.GetProperty("engines").EnumerateArray()).GetProperty("verification");

    private async Task<RunningEngine> StartEngineAsync(params string[] arguments)
    {
        var script = _cluster.Folder["engine.py"];
        await File.WriteAllTextAsync(script, Script);
        var process = new PythonProcess(script, [$"unix://{_cluster.Folder[$"engine-{_engines++}.sock"]}", .. arguments]);
        return new RunningEngine(process, (await process.ReadAsync()).GetString()!);
    }

    private sealed record RunningEngine(PythonProcess Process, string Url) : IAsyncDisposable
    {
        public ValueTask DisposeAsync() => Process.DisposeAsync();
    }
}
