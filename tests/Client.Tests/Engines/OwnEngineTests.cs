using System.Collections.Immutable;
using System.Security.Cryptography;
using P2PWeights.Client.Engines;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>Against a Python process that receives with our package, in the host's memory and without torch: the channel <c>host</c>.</summary>
public sealed class OwnEngineTests : IDisposable
{
    private static readonly EngineOptions Options = new() { AbortTimeout = TimeSpan.FromSeconds(20) };

    private readonly TempFolder _folder = new();
    private readonly TestSlots _slots = new(1 << 20);

    public void Dispose()
    {
        _slots.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(true, true)]
    [InlineData(false, false)]
    public async Task Updates_arrive_and_what_is_held_can_be_read_back(bool unix, bool poll)
    {
        await using var process = Start(unix, poll ? ["--poll"] : []);
        await using var engine = await ConnectAsync(process);
        Assert.Equal(new EngineDevice("host-3"), Assert.Single(engine.Devices));

        var seeded = new Seeded();
        foreach (var version in new[] { "m@v1", "m@v2" })
        {
            var channel = Assert.Single(engine.BeginUpdate(version));
            await channel.OpenAsync(_slots.Host, default);
            var (first, firstDigests) = _slots.Fill(seeded, 0, 0, ("a", "BF16", [300, 2]), ("b", "F32", []), ("empty", "U8", [0]));
            var (second, secondDigests) = _slots.Fill(seeded, 512 << 10, 0, ("c", "I64", [1, 2]), ("d", "U8", [400_000]));
            await channel.LoadAsync(first, default);
            await channel.LoadAsync(second, default);
            await channel.ReleaseAsync(default);
            await channel.FinishAsync(default);
            await channel.DisposeAsync();

            Assert.Equal(("whole", version), await StateAsync(process));
            ImmutableArray<string> names = [.. second.Concat(first).Select(tensor => tensor.Name)];
            var held = await engine.HashAsync(names, default);
            Assert.True(secondDigests.Concat(firstDigests).SequenceEqual(held.Select(digest => Convert.ToHexStringLower(digest.Span))), seeded.ToString());
        }
    }

    [Fact]
    public async Task A_bucket_of_many_tensors_fits_into_one_message()
    {
        await using var process = Start();
        await using var engine = await ConnectAsync(process);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        await channel.OpenAsync(_slots.Host, default);
        ImmutableArray<TensorRecord> records = [.. Enumerable.Range(0, 4096).Select(at => new TensorRecord($"model.layers.{at}.weight", "F32", [8, 8], at * 256))];
        await channel.LoadAsync(records, default);
        await channel.ReleaseAsync(default);
        await channel.FinishAsync(default);
        await channel.DisposeAsync();

        var zeros = SHA256.HashData(new byte[256]);
        Assert.All(await engine.HashAsync([.. records.Select(record => record.Name)], default), digest => Assert.Equal(zeros, digest.ToArray()));
    }

    [Fact]
    public async Task A_load_that_raises_tears_the_engine_and_the_next_update_makes_it_whole()
    {
        await using var process = Start(true, "--fail", "load:1");
        await using var engine = await ConnectAsync(process);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        await channel.OpenAsync(_slots.Host, default);
        await channel.LoadAsync([], default);
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.LoadAsync([new TensorRecord("t", "U8", [1], 0)], default));
        await channel.AbortAsync("it raised");
        await channel.DisposeAsync();

        Assert.Equal(EngineError.Raised, failure.Error);
        Assert.Contains("ValueError: no room for ['t']", failure.Message, StringComparison.Ordinal);
        Assert.Contains("own_engine.py", failure.Traceback, StringComparison.Ordinal);
        Assert.Equal(("torn", null), await StateAsync(process));

        await UpdateAsync(engine);
        Assert.Equal(("whole", "m@v2"), await StateAsync(process));
    }

    [Fact]
    public async Task A_finish_that_raises_is_shown_and_tears_the_engine()
    {
        await using var process = Start(true, "--fail", "finish");
        await using var engine = await ConnectAsync(process);
        var failure = await Assert.ThrowsAsync<EngineException>(() => UpdateAsync(engine));

        Assert.Equal(EngineError.Raised, failure.Error);
        Assert.Contains("ValueError: no post-processing", failure.Message, StringComparison.Ordinal);
        Assert.Equal(("torn", null), await StateAsync(process));
    }

    [Fact]
    public async Task A_killed_engine_ends_the_wait_at_once()
    {
        await using var process = Start();
        await using var engine = await ConnectAsync(process);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        await channel.OpenAsync(_slots.Host, default);
        process.Kill();
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.LoadAsync([], default));
        await channel.DisposeAsync();

        Assert.Equal(EngineError.Died, failure.Error);
        Assert.Contains("its process ended", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("cannot be reached", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_node_that_gives_up_is_noticed_and_the_next_one_is_served()
    {
        await using var process = Start();
        await using var engine = await ConnectAsync(process);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        await channel.OpenAsync(_slots.Host, default);
        await channel.LoadAsync([], default);
        await channel.DisposeAsync();
        Assert.Equal(("torn", null), await StateAsync(process));

        await UpdateAsync(engine);
        Assert.Equal(("whole", "m@v2"), await StateAsync(process));
    }

    [Fact]
    public async Task An_update_given_up_before_its_first_bucket_leaves_the_engine_as_it_was()
    {
        await using var process = Start();
        await using var engine = await ConnectAsync(process);
        await UpdateAsync(engine);
        var channel = Assert.Single(engine.BeginUpdate("m@v3"));
        await channel.OpenAsync(_slots.Host, default);
        await channel.AbortAsync("its source is gone");
        await channel.DisposeAsync();

        // Served at once: the former update has ended there.
        await using var next = Assert.Single(engine.BeginUpdate("m@v4"));
        await next.OpenAsync(_slots.Host, default);
        Assert.Equal(("whole", "m@v2"), await StateAsync(process));
    }

    [Fact]
    public async Task A_second_update_while_one_runs_is_refused_and_does_not_harm_it()
    {
        await using var process = Start();
        await using var engine = await ConnectAsync(process);
        await using var other = await Engine.ConnectAsync(EngineAddress.Parse(engine.Name), [], Options, default);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        await channel.OpenAsync(_slots.Host, default);

        var refused = await Assert.ThrowsAsync<EngineException>(() => UpdateAsync(other));
        Assert.Equal(EngineError.Refused, refused.Error);
        Assert.Contains("under way", refused.Message, StringComparison.Ordinal);

        await channel.ReleaseAsync(default);
        await channel.FinishAsync(default);
        await channel.DisposeAsync();
        Assert.Equal(("whole", "m@v1"), await StateAsync(process));
    }

    [Fact]
    public async Task Slots_that_cannot_be_opened_leave_the_engine_as_it_was()
    {
        await using var process = Start();
        await using var engine = await ConnectAsync(process);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(new HostSlotMemory("/dev/shm/p2pw-test-none", 4096), default));
        await channel.DisposeAsync();

        Assert.Equal(EngineError.Raised, failure.Error);
        Assert.Contains("FileNotFoundError", failure.Message, StringComparison.Ordinal);
        Assert.Equal(("new", null), await StateAsync(process));
    }

    [Fact]
    public async Task Slots_of_a_gpu_are_not_for_an_engine_on_the_host()
    {
        await using var process = Start();
        await using var engine = await ConnectAsync(process);
        var channel = Assert.Single(engine.BeginUpdate("m@v1"));
        var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(_slots.Cuda(new EngineDevice("GPU-1")), default));
        await channel.DisposeAsync();
        Assert.Equal(EngineError.NotSupported, failure.Error);
    }

    [Theory]
    [InlineData("--blind", nameof(EngineError.NotSupported))]
    [InlineData("--fail=hash", nameof(EngineError.Refused))]
    public async Task What_cannot_be_read_back_is_said(string argument, string error)
    {
        await using var process = Start(true, argument);
        await using var engine = await ConnectAsync(process);
        await UpdateAsync(engine);
        var failure = await Assert.ThrowsAsync<EngineException>(() => engine.HashAsync(["t"], default));
        Assert.Equal(error, failure.Error.ToString());
        Assert.Equal(("whole", "m@v2"), await StateAsync(process));
    }

    [Fact]
    public async Task A_tensor_that_is_not_held_has_no_digest()
    {
        await using var process = Start();
        await using var engine = await ConnectAsync(process);
        await UpdateAsync(engine);
        var held = await engine.HashAsync(["u", "t"], default);
        Assert.Equal([0, SHA256.HashSizeInBytes], held.Select(digest => digest.Length));
    }

    [Fact]
    public async Task A_stock_engine_cannot_be_read_back()
    {
        await using var engine = await Engine.ConnectAsync(EngineAddress.Parse("vllm+http://127.0.0.1:9"), ["GPU-1"], Options, default);
        var failure = await Assert.ThrowsAsync<EngineException>(() => engine.HashAsync(["t"], default));
        Assert.Equal(EngineError.NotSupported, failure.Error);
    }

    [Fact]
    public async Task A_socket_that_is_not_there_is_named()
    {
        var socket = Path.Combine(_folder.Path, "none.sock");
        var failure = await Assert.ThrowsAsync<EngineException>(() => Engine.ConnectAsync(EngineAddress.Parse($"python+unix://{socket}"), [], Options, default));
        Assert.Contains($"there is no socket {socket}", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_engine_removes_its_socket_when_it_closes_and_takes_the_place_of_a_dead_one()
    {
        var socket = Path.Combine(_folder.Path, "engine.sock");
        await using (var killed = Start())
        {
            await killed.ReadEventAsync("listening");
            killed.Kill();
        }

        Assert.True(File.Exists(socket));
        var failure = await Assert.ThrowsAsync<EngineException>(() => Engine.ConnectAsync(EngineAddress.Parse($"python+unix://{socket}"), [], Options, default));
        Assert.Contains($"cannot be reached: {socket}: Connection refused;", failure.Message, StringComparison.Ordinal);
        await using var process = Start();
        await process.ReadEventAsync("listening");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(socket));
        await process.EndAsync();
        Assert.False(File.Exists(socket));
    }

    private static async Task<Engine> ConnectAsync(PythonProcess process) =>
        await Engine.ConnectAsync(EngineAddress.Parse((await process.ReadEventAsync("listening")).GetProperty("url").GetString()!), [], Options, default);

    private static async Task<(string? State, string? Checkpoint)> StateAsync(PythonProcess process)
    {
        await process.WriteLineAsync("state");
        var state = await process.ReadEventAsync("state");
        return (state.GetProperty("state").GetString(), state.GetProperty("checkpoint").GetString());
    }

    private async Task UpdateAsync(Engine engine)
    {
        await using var channel = Assert.Single(engine.BeginUpdate("m@v2"));
        await channel.OpenAsync(_slots.Host, default);
        await channel.LoadAsync([new TensorRecord("t", "U8", [1], 0)], default);
        await channel.ReleaseAsync(default);
        await channel.FinishAsync(default);
    }

    private PythonProcess Start(bool unix = true, params string[] arguments) =>
        new("own_engine.py", [unix ? $"unix://{Path.Combine(_folder.Path, "engine.sock")}" : "http://127.0.0.1:0", .. arguments]);
}
