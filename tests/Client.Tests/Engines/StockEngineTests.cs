using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using P2PWeights.Client.Engines;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>Against the worker side of checkpoint-engine's protocol with libzmq (python3-zmq), behind the HTTP routes of vLLM and SGLang.</summary>
public sealed class StockEngineTests
{
    private const string First = "GPU-00000000-0000-0000-0000-000000000001";
    private const string Second = "GPU-00000000-0000-0000-0000-000000000002";

    private static readonly EngineOptions Options = new() { AbortTimeout = TimeSpan.FromSeconds(20) };

    [Theory]
    [InlineData("vllm", 2)]
    [InlineData("vllm", 1)]
    [InlineData("sglang", 2)]
    public Task Every_bucket_arrives_at_every_rank_and_success_means_that_the_engine_said_so(string kind, int ends) =>
        EveryBucketArrivesAsync(kind, "--ends", ends.ToString(CultureInfo.InvariantCulture));

    [CheckpointEngineFact]
    public Task Every_bucket_arrives_at_every_rank_of_checkpoint_engine_itself() => EveryBucketArrivesAsync("vllm", "--package");

    private static async Task EveryBucketArrivesAsync(string kind, params string[] options)
    {
        await using var process = new PythonProcess("stock_engine.py", [kind, First, Second, .. options]);
        await using var engine = await ConnectAsync(process, kind, Options);
        using var slots = new TestSlots(64 << 10);
        var seeded = new Seeded();

        List<(string Name, string Digest)> sent = [];
        var channels = engine.BeginUpdate("m@v1");
        foreach (var channel in channels)
        {
            await channel.OpenAsync(slots.Cuda(channel.Device, 4096), default);
        }

        foreach (var bucket in new (string, string, long[])[][]
        {
            [("a.weight", "BF16", [3, 5]), ("a.bias", "F32", []), ("ü\n", "F8_E4M3", [7])],
            [],
            [("b.weight", "I64", [1, 2, 3]), ("b.mask", "BOOL", [0, 4])],
        })
        {
            var (records, digests) = slots.Fill(seeded, sent.Count * 1024, 4096, bucket);
            await Task.WhenAll(channels.Select(channel => channel.LoadAsync(records, default)));
            sent.AddRange(records.Zip(digests, (record, digest) => (record.Name, digest)));
        }

        await Task.WhenAll(channels.Select(channel => channel.ReleaseAsync(default)));
        await Task.WhenAll(channels.Select(channel => channel.FinishAsync(default)));
        await DisposeAllAsync(channels);

        var events = await process.EndAsync();
        Assert.Equal(kind == "vllm" ? "/collective_rpc" : "/update_weights_from_ipc", events[0].GetProperty("path").GetString());
        Assert.Equal(kind == "vllm" ? null : "m@v1", events[0].GetProperty("body").TryGetProperty("weight_version", out var version) ? version.GetString() : null);
        Assert.All(new[] { First, Second }, rank =>
        {
            var own = events.Where(seen => seen.TryGetProperty("rank", out var of) && of.GetString() == rank).ToList();
            var loaded = own.Where(seen => seen.GetProperty("event").GetString() == "loaded").Select(seen => (seen.GetProperty("name").GetString()!, seen.GetProperty("sha256").GetString()!));
            Assert.True(sent.SequenceEqual(loaded), $"{seeded}: sent {string.Join(' ', sent)}, got {string.Join(' ', loaded)}");
            Assert.Equal("post_hook", own[^2].GetProperty("event").GetString());
            Assert.Equal(["bfloat16", "float32", "float8_e4m3fn", "int64", "bool"], own.SkipLast(2).Select(seen => seen.GetProperty("dtype").GetString()));
        });
    }

    [Fact]
    public async Task A_rank_that_raises_shows_its_traceback_and_its_neighbour_is_told()
    {
        var failure = await LoadIntoRaisingRankAsync();
        Assert.Contains("ValueError: no loader for\\u001b[31m bucket 1", failure.Message, StringComparison.Ordinal);
        Assert.StartsWith("Traceback (most recent call last):", failure.Traceback, StringComparison.Ordinal);
        Assert.Contains("stock_engine.py", failure.Traceback, StringComparison.Ordinal);
    }

    // Earlier versions send the exception alone.
    [CheckpointEngineFact]
    public async Task A_rank_of_checkpoint_engine_itself_that_raises_shows_what_it_says_and_its_neighbour_is_told() =>
        Assert.Matches("ValueError.*no loader for", (await LoadIntoRaisingRankAsync("--package")).Message);

    private static async Task<EngineException> LoadIntoRaisingRankAsync(params string[] options)
    {
        await using var process = new PythonProcess("stock_engine.py", ["vllm", First, Second, "--fail", $"{Second}:load:1", .. options]);
        await using var engine = await ConnectAsync(process, "vllm", Options);
        using var slots = new TestSlots(4096);
        var channels = engine.BeginUpdate("m@v1");
        await Task.WhenAll(channels.Select(channel => channel.OpenAsync(slots.Cuda(channel.Device), default)));
        await Task.WhenAll(channels.Select(channel => channel.LoadAsync([new TensorRecord("t", "U8", [8], 0)], default)));
        await channels[0].LoadAsync([], default);
        var failure = await Assert.ThrowsAsync<EngineException>(() => channels[1].LoadAsync([], default));

        Assert.Equal(EngineError.Raised, failure.Error);
        Assert.Contains(Second, failure.Message, StringComparison.Ordinal);

        await Task.WhenAll(channels.Select(channel => channel.AbortAsync("rank 2 failed")));
        await DisposeAllAsync(channels);
        JsonElement[] told = [await process.ReadEventAsync("told"), await process.ReadEventAsync("told")];
        Assert.Equal([First, Second], told.Select(seen => seen.GetProperty("rank").GetString()).Order());
        Assert.All(told, seen => Assert.EndsWith("rank 2 failed", seen.GetProperty("message").GetString(), StringComparison.Ordinal));
        return failure;
    }

    [Fact]
    public async Task A_handle_that_cannot_be_opened_fails_the_opening_with_the_traceback()
    {
        var failure = await OpenWrongHandleAsync();
        Assert.Equal(EngineError.Raised, failure.Error);
        Assert.Contains("ValueError: no such handle", failure.Message, StringComparison.Ordinal);
    }

    [CheckpointEngineFact]
    public async Task A_handle_that_checkpoint_engine_itself_cannot_open_fails_the_opening_with_what_it_says() =>
        Assert.Contains("AssertionError: no such handle", (await OpenWrongHandleAsync("--package")).Message, StringComparison.Ordinal);

    private static async Task<EngineException> OpenWrongHandleAsync(params string[] options)
    {
        await using var process = new PythonProcess("stock_engine.py", ["sglang", First, "--fail", $"{First}:handle", .. options]);
        await using var engine = await ConnectAsync(process, "sglang", Options);
        using var slots = new TestSlots(4096);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(slots.Cuda(channel.Device), default));
        await channel.DisposeAsync();
        return failure;
    }

    [Theory]
    [InlineData("vllm")]
    [InlineData("sglang")]
    public Task A_post_hook_that_raises_fails_the_update_with_what_the_engine_says(string kind) => RaisingPostHookIsNamedAsync(kind);

    [CheckpointEngineFact]
    public Task A_post_hook_that_raises_in_checkpoint_engine_itself_fails_the_update_with_what_the_engine_says() => RaisingPostHookIsNamedAsync("vllm", "--package");

    private static async Task RaisingPostHookIsNamedAsync(string kind, params string[] options)
    {
        await using var process = new PythonProcess("stock_engine.py", [kind, First, Second, "--fail", $"{First}:post_hook", .. options]);
        await using var engine = await ConnectAsync(process, kind, Options);
        using var slots = new TestSlots(4096);
        var channels = engine.BeginUpdate("m@v1");
        await Task.WhenAll(channels.Select(channel => channel.OpenAsync(slots.Cuda(channel.Device), default)));
        var failures = await Task.WhenAll(channels.Select(channel => Assert.ThrowsAsync<EngineException>(async () =>
        {
            await channel.ReleaseAsync(default);
            await channel.FinishAsync(default);
        })));
        await DisposeAllAsync(channels);

        Assert.All(failures, failure => Assert.Equal(EngineError.Refused, failure.Error));
        Assert.All(failures, failure => Assert.Contains("no post-processing", failure.Message, StringComparison.Ordinal));
    }

    [Fact]
    public async Task An_engine_that_dies_ends_the_waits_of_all_its_ranks_at_once()
    {
        await using var process = new PythonProcess("stock_engine.py", "vllm", First, Second, "--fail", $"{Second}:die:0");
        await using var engine = await ConnectAsync(process, "vllm", Options);
        using var slots = new TestSlots(4096);
        var channels = engine.BeginUpdate("m@v1");
        await Task.WhenAll(channels.Select(channel => channel.OpenAsync(slots.Cuda(channel.Device), default)));
        var died = await Assert.ThrowsAsync<EngineException>(() => channels[1].LoadAsync([], default));
        var neighbour = await Assert.ThrowsAsync<EngineException>(() => channels[0].LoadAsync([], default));
        await DisposeAllAsync(channels);

        Assert.Equal(EngineError.Died, died.Error);
        Assert.Equal(EngineError.Died, neighbour.Error);
    }

    [Fact]
    public async Task A_rank_that_does_not_answer_costs_its_deadline_and_its_neighbour_goes_on()
    {
        var options = Options with { LoadTimeout = TimeSpan.FromSeconds(5), AbortTimeout = TimeSpan.FromSeconds(5) };
        await using var process = new PythonProcess("stock_engine.py", "vllm", First, Second, "--fail", $"{Second}:silent:0");
        await using var engine = await ConnectAsync(process, "vllm", options);
        using var slots = new TestSlots(4096);
        var channels = engine.BeginUpdate("m@v1");
        await Task.WhenAll(channels.Select(channel => channel.OpenAsync(slots.Cuda(channel.Device), default)));
        var silent = channels[1].LoadAsync([], default);
        await process.ReadEventAsync("silent");
        await channels[0].LoadAsync([], default);
        await channels[0].LoadAsync([], default);
        var failure = await Assert.ThrowsAsync<EngineException>(() => silent);
        await channels[1].AbortAsync("it is stuck");
        await channels[0].ReleaseAsync(default);
        var whole = await Assert.ThrowsAsync<EngineException>(() => channels[0].FinishAsync(default));
        await DisposeAllAsync(channels);

        Assert.Equal(EngineError.Deadline, failure.Error);
        Assert.Contains(Second, failure.Message, StringComparison.Ordinal);
        Assert.Contains("it is stuck", whole.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("slow:0", false)]
    [InlineData("late", false)]
    [InlineData("late", true)]
    public async Task A_rank_that_could_not_be_told_at_once_is_told_when_it_comes(string fault, bool isAnsweredBefore)
    {
        await using var process = new PythonProcess("stock_engine.py", ["vllm", First, Second, "--fail", $"{Second}:{fault}", .. isAnsweredBefore ? ["--eager"] : Array.Empty<string>()]);
        await using var farewells = new Farewells();
        using var slots = new TestSlots(4096);
        await using (var engine = await ConnectAsync(process, "vllm", isAnsweredBefore ? Options : Options with { AbortTimeout = TimeSpan.FromMilliseconds(100) }, farewells))
        {
            var channels = engine.BeginUpdate("m@v1");
            await channels[0].OpenAsync(slots.Cuda(channels[0].Device), default);
            using var cancel = new CancellationTokenSource();
            var behind = fault == "late" ? channels[1].OpenAsync(slots.Cuda(channels[1].Device), cancel.Token) : LoadAsync(channels[1], cancel.Token);
            await process.ReadEventAsync(fault.Split(':')[0]);
            await cancel.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => behind);
            await Task.WhenAll(channels.Select(channel => channel.AbortAsync("it was cancelled")));
            await DisposeAllAsync(channels);
        }

        Assert.Equal(First, (await process.ReadEventAsync("left")).GetProperty("rank").GetString());
        await process.WriteLineAsync("go on");

        if (fault != "late")
        {
            Assert.EndsWith("it was cancelled", (await process.ReadEventAsync("told")).GetProperty("message").GetString(), StringComparison.Ordinal);
        }

        Assert.Equal(Second, (await process.ReadEventAsync("left")).GetProperty("rank").GetString());

        async Task LoadAsync(IEngineChannel channel, CancellationToken cancellationToken)
        {
            await channel.OpenAsync(slots.Cuda(channel.Device), cancellationToken);
            await channel.LoadAsync([], cancellationToken);
        }
    }

    [Fact]
    public async Task An_engine_without_the_route_is_named_with_its_answer()
    {
        await using var process = new PythonProcess("stock_engine.py", "neither", First);
        await using var engine = await ConnectAsync(process, "vllm", Options);
        using var slots = new TestSlots(4096);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(slots.Cuda(channel.Device), default));
        await channel.DisposeAsync();

        Assert.Equal(EngineError.NotSupported, failure.Error);
        Assert.Contains("404", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Not Found", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_engine_that_ends_well_without_a_rank_is_not_waited_for()
    {
        await using var process = new PythonProcess("stock_engine.py", "vllm", First, "--fail", $"{First}:absent");
        await using var engine = await ConnectAsync(process, "vllm", Options);
        using var slots = new TestSlots(4096);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(slots.Cuda(channel.Device), default));
        await channel.DisposeAsync();

        Assert.Equal(EngineError.Protocol, failure.Error);
        Assert.Contains("?gpus=", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_socket_of_another_kind_is_turned_away_and_named()
    {
        await using var process = new PythonProcess("stock_engine.py", "vllm", First, "--fail", $"{First}:stranger");
        await using var engine = await ConnectAsync(process, "vllm", Options with { OpenTimeout = TimeSpan.FromSeconds(10), AbortTimeout = TimeSpan.FromMilliseconds(100) });
        using var slots = new TestSlots(4096);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(slots.Cuda(channel.Device), default));
        await channel.DisposeAsync();

        Assert.Equal(EngineError.Deadline, failure.Error);
        // libzmq has looked at our READY first, and closed.
        Assert.Contains("a process connected, but it went away", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_at_the_address_is_said_at_once()
    {
        await using var engine = await Engine.ConnectAsync(EngineAddress.Parse("sglang+unix:///run/p2pweights-none.sock"), [First], Options, default);
        using var slots = new TestSlots(4096);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(slots.Cuda(channel.Device), default));
        await channel.DisposeAsync();

        Assert.Equal(EngineError.Died, failure.Error);
        Assert.Contains("cannot be reached", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_does_not_fit_is_refused_before_it_is_sent()
    {
        await using var process = new PythonProcess("stock_engine.py", "vllm", First);
        await using var engine = await ConnectAsync(process, "vllm", Options);
        using var slots = new TestSlots(4096);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        await channel.OpenAsync(slots.Cuda(channel.Device), default);
        foreach (var wrong in new TensorRecord[] { new("t", "F4", [2], 0), new("t", "F32", [2], 2), new("t", "F32", [1024], 4), new("t", "U8", [long.MaxValue, long.MaxValue], 0), new("t", "U8", [-1], 0) })
        {
            Assert.Equal(EngineError.NotSupported, (await Assert.ThrowsAsync<EngineException>(() => channel.LoadAsync([wrong], default))).Error);
        }

        await channel.LoadAsync([new TensorRecord("t", "F32", [1024], 0)], default);
        await channel.DisposeAsync();
    }

    [Fact]
    public async Task A_cancelled_wait_is_a_cancellation_and_the_engine_is_told_when_the_channel_goes()
    {
        await using var process = new PythonProcess("stock_engine.py", "vllm", First);
        await using var engine = await ConnectAsync(process, "vllm", Options);
        using var slots = new TestSlots(4096);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        await channel.OpenAsync(slots.Cuda(channel.Device), default);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => channel.LoadAsync([], new CancellationToken(canceled: true)));
        await channel.DisposeAsync();
        Assert.EndsWith("given up", (await process.ReadEventAsync("told")).GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    private static async Task<Engine> ConnectAsync(PythonProcess process, string kind, EngineOptions options, Farewells? farewells = null)
    {
        var listening = await process.ReadEventAsync("listening");
        var ranks = string.Join(',', listening.GetProperty("ranks").EnumerateArray().Select(rank => rank.GetString()));
        return await Engine.ConnectAsync(EngineAddress.Parse($"{kind}+http://127.0.0.1:{listening.GetProperty("port").GetInt32()}?gpus={ranks}"), [First, Second], options, default, farewells);
    }

    private static Task DisposeAllAsync(ImmutableArray<IEngineChannel> channels) => Task.WhenAll(channels.Select(channel => channel.DisposeAsync().AsTask()));
}
