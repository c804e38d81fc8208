using P2PWeights.Client.Engines;
using P2PWeights.Client.Updating;
using P2PWeights.Client.Updating.Devices;

namespace P2PWeights.Client.Tests.Updating;

/// <summary>Calls that do not come back stand for a driver whose device is not well.</summary>
public sealed class DriverCallsTests : IDisposable
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(60);

    private readonly DriverCalls _calls = new(TimeProvider.System);
    private readonly ManualResetEventSlim _back = new();
    private readonly List<string> _late = [];

    public void Dispose() => _back.Dispose();

    [Fact]
    public async Task Call_that_comes_back_gives_its_result_and_nothing_is_late()
    {
        Assert.Equal("first", await RunAsync("first"));
        await Assert.ThrowsAsync<InvalidDataException>(() => _calls.RunAsync<string>("open", () => throw new InvalidDataException(), _late.Add, Deadline, default));
        Assert.Equal("second", await RunAsync("second"));
        Assert.Empty(_late);
    }

    [Fact]
    public async Task Call_that_hangs_fails_at_its_deadline_and_what_it_brings_later_is_dealt_with_before_the_next_one()
    {
        var failure = await Assert.ThrowsAsync<UpdateException>(() => HangAsync("first", Soon, default));
        Assert.Contains("did not open within", failure.Message, StringComparison.Ordinal);
        Assert.False(_calls.IsIdle);
        Assert.False(await _calls.WaitAsync(Soon));

        // The next one waits behind it, and one that has given up by then is not made.
        await Assert.ThrowsAsync<UpdateException>(() => _calls.RunAsync("open", () => "second", _late.Add, Soon, default));
        var third = _calls.RunAsync("open", () => string.Join(' ', _late), _late.Add, Deadline, default);
        _back.Set();

        Assert.Equal("first", await third);
        Assert.True(await _calls.WaitAsync(Deadline));
        Assert.Equal(["first"], _late);
    }

    [Fact]
    public async Task Cancelled_call_is_left_behind_at_once()
    {
        using var cancel = new CancellationTokenSource();
        var hanging = HangAsync("first", Deadline, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => hanging);
        _back.Set();
        Assert.True(await _calls.WaitAsync(Deadline));

        // It may not have begun by then.
        Assert.InRange(_late.Count, 0, 1);
    }

    [Fact]
    public async Task Call_that_ends_something_is_made_although_nobody_waits_for_it()
    {
        await Assert.ThrowsAsync<UpdateException>(() => HangAsync("first", Soon, default));
        await Assert.ThrowsAsync<UpdateException>(() => _calls.EndAsync("free the slots", () => _late.Add("end"), TimeSpan.Zero));
        _back.Set();
        Assert.True(await _calls.WaitAsync(Deadline));
        Assert.Equal(["first", "end"], _late);
    }

    [Fact]
    public async Task Session_that_opens_when_nobody_waits_any_more_is_taken_down()
    {
        await using var fixture = await UpdateFixture.CreateAsync();
        var (engine, _, _) = UpdateFixture.Engine(2);
        using var host = new HostDevices(fixture.SlotRoot);
        var devices = new SlowDevices(host, _back);
        var context = fixture.Context([engine], devices);
        await Assert.ThrowsAsync<UpdateException>(() => _calls.RunAsync("open", () => new UpdateSession(context), late: opened => opened.TakeDown(), Soon, default));

        _back.Set();
        Assert.True(await _calls.WaitAsync(Deadline));
        Assert.Equal((2, 2), (devices.Opened, devices.Closed));
        fixture.AssertClean();
    }

    private Task<string> RunAsync(string result) => _calls.RunAsync("open", () => result, _late.Add, Deadline, default);

    private Task<string> HangAsync(string result, TimeSpan deadline, CancellationToken cancellationToken) => _calls.RunAsync(
        "open",
        () =>
        {
            _back.Wait();
            return result;
        },
        _late.Add, deadline, cancellationToken);

    /// <summary>The first device takes its time to open.</summary>
    private sealed class SlowDevices(IUpdateDevices inner, ManualResetEventSlim back) : IUpdateDevices
    {
        public int Opened { get; private set; }

        public int Closed { get; private set; }

        public IUpdateDevice Open(EngineDevice device)
        {
            back.Wait();
            Opened++;
            return new Device(this, inner.Open(device));
        }

        public IDisposable Register(nint address, long length) => inner.Register(address, length);

        public ICollective OpenCollective(IReadOnlyList<IUpdateDevice> devices) => inner.OpenCollective(devices);

        public void Dispose()
        {
        }

        private sealed class Device(SlowDevices owner, IUpdateDevice inner) : IUpdateDevice
        {
            public string Name => inner.Name;

            public long FreeBytes => inner.FreeBytes;

            public SlotMemory Allocate(long bytes) => inner.Allocate(bytes);

            public IDeviceStream OpenStream() => inner.OpenStream();

            public long Abandon() => inner.Abandon();

            public void Dispose()
            {
                owner.Closed++;
                inner.Dispose();
            }
        }
    }
}
