using P2PWeights.Client.Engines;
using P2PWeights.Client.Engines.StandIn;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

public sealed class StandInEngineTests : IAsyncLifetime
{
    private readonly TempFolder _folder = new();
    private readonly TestSlots _slots = new(1 << 20);
    private StandInEngine _standIn = null!;
    private Engine _engine = null!;

    public async Task InitializeAsync()
    {
        _standIn = await StandInEngine.StartAsync(_folder["engine.sock"], rank: 5, default);
        _engine = await Engine.ConnectAsync(EngineAddress.Parse(_standIn.Url), [], new EngineOptions { AbortTimeout = TimeSpan.FromSeconds(20) }, default);
    }

    public async Task DisposeAsync()
    {
        await _engine.DisposeAsync();
        await _standIn.DisposeAsync();
        Assert.False(File.Exists(_folder["engine.sock"]));
        _slots.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public async Task It_holds_what_came_and_answers_for_it()
    {
        Assert.Equal(new EngineDevice("host-5"), Assert.Single(_engine.Devices));
        var seeded = new Seeded();
        foreach (var version in new[] { "m@v1", "m@v2" })
        {
            await using var channel = Assert.Single(_engine.BeginUpdate(version));
            await channel.OpenAsync(_slots.Host, default);
            var (first, firstDigests) = _slots.Fill(seeded, 0, 0, ("a", "BF16", [300, 2]), ("b", "F32", []), ("empty", "U8", [0]));
            var (second, secondDigests) = _slots.Fill(seeded, 512 << 10, 0, ("c", "I64", [1, 2]), ("d", "F8_E4M3", [400_000]));
            await channel.LoadAsync(first, default);
            await channel.LoadAsync(second, default);
            await channel.ReleaseAsync(default);
            await channel.FinishAsync(default);

            var held = await _engine.HashAsync([.. second.Concat(first).Select(tensor => tensor.Name), "none"], default);
            Assert.True(secondDigests.Concat(firstDigests).Append("").SequenceEqual(held.Select(digest => Convert.ToHexStringLower(digest.Span))), seeded.ToString());
        }
    }

    [Fact]
    public async Task Slots_that_are_not_there_are_told_and_the_next_update_is_taken()
    {
        await using (var channel = Assert.Single(_engine.BeginUpdate("m@v1")))
        {
            var failure = await Assert.ThrowsAsync<EngineException>(() => channel.OpenAsync(new HostSlotMemory("/dev/shm/p2pw-test-none", 4096), default));
            Assert.Equal(EngineError.Raised, failure.Error);
            Assert.Contains("FileNotFoundException", failure.Traceback, StringComparison.Ordinal);
        }

        await It_holds_what_came_and_answers_for_it();
    }

    [Fact]
    public async Task An_update_that_the_node_gives_up_fails_there_too()
    {
        await using (var channel = Assert.Single(_engine.BeginUpdate("m@v1")))
        {
            await channel.OpenAsync(_slots.Host, default);
            await channel.AbortAsync("it was cancelled");
        }

        await It_holds_what_came_and_answers_for_it();
    }

    [Fact]
    public async Task A_second_update_while_one_runs_is_refused()
    {
        await using var channel = Assert.Single(_engine.BeginUpdate("m@v1"));
        await channel.OpenAsync(_slots.Host, default);
        await using var other = await Engine.ConnectAsync(EngineAddress.Parse(_standIn.Url), [], new EngineOptions(), default);
        await using var refused = Assert.Single(other.BeginUpdate("m@v2"));

        var failure = await Assert.ThrowsAsync<EngineException>(() => refused.OpenAsync(_slots.Host, default));

        Assert.Contains("under way", failure.Message, StringComparison.Ordinal);
        await channel.AbortAsync("the end of the test");
    }

    [Fact]
    public async Task A_bucket_outside_of_the_slots_is_not_read()
    {
        var receiver = new UpdateReceiver(new Dictionary<string, byte[]>(), () => { });
        using var listener = new Client.Engines.Zmtp.ZmtpListener("host-5");
        var receiving = receiver.RunAsync(listener.Address, default);
        await using var connection = await listener.AcceptAsync(default);
        await SendAsync(output => EngineMessages.WriteMemory(output, _slots.Host));
        Assert.Empty(await connection.ReceiveAsync(default));
        await SendAsync(output => EngineMessages.WriteTensors(output, [new TensorRecord("t", "U8", [2], (1 << 20) - 1)]));
        Assert.Contains("does not fit", System.Text.Encoding.UTF8.GetString(await connection.ReceiveAsync(default)), StringComparison.Ordinal);
        await SendAsync(output => EngineMessages.WriteFailure(output, "it raised"));
        await Assert.ThrowsAsync<InvalidDataException>(() => receiving.WaitAsync(TimeSpan.FromSeconds(30)));

        async Task SendAsync(Action<System.Buffers.IBufferWriter<byte>> write)
        {
            var message = new System.Buffers.ArrayBufferWriter<byte>();
            write(message);
            await connection.SendAsync(message.WrittenMemory, default);
        }
    }
}
