using P2PWeights.Client.Engines;
using P2PWeights.Client.Engines.Zmtp;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>A rank that answers slowly, by a clock of the test's own: each deadline that is documented holds from its beginning to its end, however many questions are asked under it.</summary>
public sealed class EngineDeadlineTests : IAsyncLifetime
{
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    private readonly VirtualTime _time = new();
    private readonly Farewells _farewells = new();
    private readonly ZmtpListener _listener = new("host-0");
    private readonly EngineOptions _options;
    private readonly EngineChannel _channel;

    public EngineDeadlineTests()
    {
        _options = new EngineOptions { Time = _time };
        var update = new EngineUpdateCall("slow", EngineKind.Python, 1, NeverAsync, TimeSpan.Zero);
        _channel = new EngineChannel("slow", new EngineDevice("host-0"), _listener, update, _options, _farewells);

        static async Task<ReadOnlyMemory<byte>> NeverAsync(CancellationToken stop)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, stop);
            return default;
        }
    }

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        await _channel.DisposeAsync();
        await _farewells.DisposeAsync();
    }

    [Fact]
    public async Task Connecting_and_opening_the_slots_have_one_deadline()
    {
        var opening = OpenAsync();
        _time.Advance(_options.OpenTimeout - Second);
        await using var rank = await ZmtpReplier.ConnectAsync(_listener.Address, default);
        await rank.ReceiveAsync(default).WaitAsync(Deadline);

        _time.Advance(Second);

        await AssertLateAsync(opening, "opening the slots: no answer within 120 s");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task All_that_follows_the_last_bucket_has_one_deadline(bool isAnswered)
    {
        var opening = OpenAsync();
        await using var rank = await ZmtpReplier.ConnectAsync(_listener.Address, default);
        await AnswerAsync(rank);
        await opening.WaitAsync(Deadline);
        var releasing = _channel.ReleaseAsync(default);
        await rank.ReceiveAsync(default).WaitAsync(Deadline);
        _time.Advance(_options.FinishTimeout - Second);
        await rank.ReplyAsync(Array.Empty<byte>(), default);
        await releasing.WaitAsync(Deadline);
        var finishing = _channel.FinishAsync(default);
        await rank.ReceiveAsync(default).WaitAsync(Deadline);
        if (isAnswered)
        {
            await rank.ReplyAsync(Array.Empty<byte>(), default);
        }

        _time.Advance(Second);

        await AssertLateAsync(finishing, "within 600 s");
    }

    private Task OpenAsync() => _channel.OpenAsync(new HostSlotMemory("/dev/shm/none", 1), default);

    private static async Task AnswerAsync(ZmtpReplier rank)
    {
        await rank.ReceiveAsync(default).WaitAsync(Deadline);
        await rank.ReplyAsync(Array.Empty<byte>(), default);
    }

    private static async Task AssertLateAsync(Task step, string message)
    {
        var failure = await Assert.ThrowsAsync<EngineException>(() => step.WaitAsync(Deadline));
        Assert.Equal(EngineError.Deadline, failure.Error);
        Assert.Contains(message, failure.Message, StringComparison.Ordinal);
    }
}
