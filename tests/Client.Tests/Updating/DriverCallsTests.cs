using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Devices;
using P2PWeights.Testing;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>Calls that do not come back stand for a driver whose device is not well.</summary>
public sealed class DriverCallsTests : IDisposable
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(1);

    private readonly VirtualTime _time = new();
    private readonly DriverCalls _calls;
    private readonly ManualResetEventSlim _back = new();
    private readonly TaskCompletionSource _begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly List<string> _late = [];

    public DriverCallsTests() => _calls = new DriverCalls(_time);

    public void Dispose() => _back.Dispose();

    [Fact]
    public async Task Call_that_comes_back_gives_its_result_and_nothing_is_late()
    {
        Assert.Equal("first", await RunAsync("first"));
        await Assert.ThrowsAsync<InvalidDataException>(() => _calls.RunAsync<string>("open", () => throw new InvalidDataException(), _late.Add, Deadline, default));
        await Assert.ThrowsAsync<TimeoutException>(() => _calls.RunAsync<string>("open", () => throw new TimeoutException(), _late.Add, Deadline, default));
        Assert.Equal("second", await RunAsync("second"));
        Assert.True(await _calls.EndAsync(() => { }, Deadline));
        await Assert.ThrowsAsync<InvalidDataException>(() => _calls.EndAsync(() => throw new InvalidDataException(), Deadline));
        Assert.Empty(_late);
        Assert.False(_calls.IsLate);
    }

    [Fact]
    public async Task Call_that_hangs_fails_at_its_deadline_and_what_it_brings_later_is_dealt_with_before_the_next_one()
    {
        await AssertHangsAsync();
        Assert.Equal((false, true), (_calls.IsIdle, _calls.IsLate));

        // The next one waits behind it, and one that has given up by then is not made.
        var second = RunAsync("second");
        _time.Advance(Deadline);
        await Assert.ThrowsAsync<UpdateException>(() => second);
        var third = _calls.RunAsync("open", () => string.Join(' ', _late), _late.Add, Deadline, default);
        _back.Set();

        Assert.Equal("first", await third);
        Assert.Equal((true, false), (await _calls.WaitAsync(Deadline), _calls.IsLate));
        Assert.Equal(["first"], _late);
    }

    [Fact]
    public async Task Cancelled_call_is_left_behind_at_once_and_is_not_late()
    {
        using var cancel = new CancellationTokenSource();
        var hanging = HangAsync(cancel.Token);
        await _begun.Task;
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
        Assert.Equal((false, false), (_calls.IsIdle, _calls.IsLate));
        _back.Set();
        Assert.True(await _calls.WaitAsync(Deadline));
        Assert.Equal(["first"], _late);
    }

    [Fact]
    public async Task Call_that_ends_something_is_made_although_nobody_waits_for_it()
    {
        await AssertHangsAsync();
        Assert.False(await _calls.EndAsync(() => _late.Add("end"), TimeSpan.Zero));
        _back.Set();
        Assert.True(await _calls.WaitAsync(Deadline));
        Assert.Equal(["first", "end"], _late);
    }

    [Fact]
    public async Task Session_that_opens_when_nobody_waits_any_more_is_taken_down()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (engine, _, _) = UpdateFixture.Engine(2);
        using var devices = new FaultyDevices(new HostDevices(fixture.SlotRoot), "none of them", FaultyCopy.In, DeviceFault.Fail, goodCopies: 0) { Opens = Hang };
        var context = fixture.Context([engine], devices);
        var opening = _calls.RunAsync("open", () => new UpdateSession(context), late: opened => opened.TakeDown(), Deadline, default);
        await _begun.Task;
        _time.Advance(Deadline);
        await Assert.ThrowsAsync<UpdateException>(() => opening);

        _back.Set();
        Assert.True(await _calls.WaitAsync(Deadline));
        Assert.Equal((2, 2), devices.Counts);
        fixture.AssertClean();
    }

    private async Task AssertHangsAsync()
    {
        var hanging = HangAsync(default);
        await _begun.Task;
        _time.Advance(Deadline);
        Assert.Contains("did not open within 60 s", (await Assert.ThrowsAsync<UpdateException>(() => hanging)).Message, StringComparison.Ordinal);
    }

    private Task<string> RunAsync(string result) => _calls.RunAsync("open", () => result, _late.Add, Deadline, default);

    private Task<string> HangAsync(CancellationToken cancellationToken) => _calls.RunAsync(
        "open",
        () =>
        {
            Hang();
            return "first";
        },
        _late.Add, Deadline, cancellationToken);

    private void Hang()
    {
        _begun.TrySetResult();
        _back.Wait();
    }
}
