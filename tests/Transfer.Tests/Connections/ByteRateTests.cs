using P2PWeights.Testing;
using P2PWeights.Transfer.Connections;

namespace P2PWeights.Transfer.Tests.Connections;

/// <summary>The cap in virtual time, where it is exact.</summary>
public sealed class ByteRateTests
{
    private readonly VirtualTime _time = new();
    private readonly Seeded _seeded = new();

    [Theory]
    [InlineData(1_000)]
    [InlineData(1_000_000)]
    [InlineData(100_000_000)]
    [InlineData(12_500_000_000)]
    public async Task Cap_holds_within_a_twentieth_however_many_take_and_however_much(long bytesPerSecond)
    {
        const double Seconds = 10;
        var rate = new ByteRate(bytesPerSecond, _time);
        var moved = 0L;
        var end = _time.GetTimestamp() + TimeSpan.FromSeconds(Seconds).Ticks;
        using var stop = new CancellationTokenSource();
        var takers = Enumerable.Range(0, 8).Select(taker => TakeAsync(new Random(_seeded.Random.Next()))).ToList();

        while (_time.GetTimestamp() < end)
        {
            // Every taker has gone on and waits again before time goes on.
            await Eventually.HoldsAsync(() => _time.Timers == takers.Count, $"all takers wait; {_seeded}");
            _time.Advance(TimeSpan.FromTicks(Math.Min(_time.NextTimer!.Value.Ticks, end - _time.GetTimestamp())));
        }

        var sent = Interlocked.Read(ref moved);
        Assert.True(Math.Abs((sent / (bytesPerSecond * Seconds)) - 1) <= 0.05, $"{sent} bytes in {Seconds} s of {bytesPerSecond} B/s; {_seeded}");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(takers));

        async Task TakeAsync(Random random)
        {
            while (true)
            {
                var bytes = random.Next(1, (int)Math.Min(rate.SliceBytes, Math.Max(2, bytesPerSecond / 100)));
                await rate.TakeAsync(bytes, stop.Token);
                Interlocked.Add(ref moved, bytes);
            }
        }
    }

    [Fact]
    public async Task Unused_time_is_saved_up_for_a_tenth_of_a_second_only()
    {
        var rate = new ByteRate(1000, _time);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.True(rate.TakeAsync(100, default).AsTask().IsCompletedSuccessfully);
        var more = rate.TakeAsync(50, default).AsTask();
        Assert.False(more.IsCompleted);
        Assert.Equal(TimeSpan.FromMilliseconds(50), _time.NextTimer);
        _time.Advance(TimeSpan.FromMilliseconds(50));
        await more;
    }

    [Fact]
    public async Task Cancelled_wait_gives_its_bytes_back()
    {
        var rate = new ByteRate(1000, _time);
        await rate.TakeAsync(100, default);
        using var cancel = new CancellationTokenSource();
        var given = rate.TakeAsync(90, cancel.Token).AsTask();
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);

        _ = rate.TakeAsync(10, default).AsTask();
        Assert.Equal(TimeSpan.FromMilliseconds(10), _time.NextTimer);
    }

    [Fact]
    public void No_cap_lets_everything_through_at_once()
    {
        var rate = new ByteRate(0, _time);
        Assert.Equal(int.MaxValue, rate.SliceBytes);
        Assert.True(rate.TakeAsync(int.MaxValue, default).AsTask().IsCompletedSuccessfully);
    }
}
