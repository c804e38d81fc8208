using Spectre.Console;

namespace P2PWeights.Cli.Output;

/// <summary>
/// Shows work under way on standard error: one moving line on a terminal, a plain line every few seconds elsewhere, nothing with <c>--json</c>.
/// </summary>
internal sealed class ProgressView(Terminal terminal, TimeProvider time)
{
    private static readonly TimeSpan FrameInterval = TimeSpan.FromMilliseconds(120);
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(3);

    /// <summary>Shows <paramref name="frame"/> again and again until <paramref name="work"/> ends, then gives its result.</summary>
    /// <param name="frame">The newest state; null while there is nothing to show.</param>
    public async Task<T> WatchAsync<T>(Task<T> work, Func<ProgressFrame?> frame)
    {
        var meter = new RateMeter();
        var start = time.GetTimestamp();
        meter.Add(TimeSpan.Zero, frame()?.Done ?? 0);
        ProgressFrame? Sample()
        {
            var newest = frame();
            if (newest is not null)
                meter.Add(time.GetElapsedTime(start), newest.Done);
            return newest;
        }

        if (terminal.Watched)
        {
            await terminal.ErrorConsole.Live(new Text("")).AutoClear(true).StartAsync(live => RepeatAsync(work, FrameInterval, () =>
            {
                if (Sample() is { } newest)
                    live.UpdateTarget(Moving(newest, meter));
            }));
        }
        else if (!terminal.Json)
        {
            await RepeatAsync(work, LineInterval, () =>
            {
                if (Sample() is { } newest)
                    terminal.Note($"{newest.Title}  {newest.Numbers(meter)}".TrimEnd());
            });
        }

        return await work;
    }

    private static Markup Moving(ProgressFrame frame, RateMeter meter)
    {
        var (filled, empty) = frame.Bar;
        return new Markup($"{Markup.Escape(frame.Title)} [green]{filled}[/][grey]{empty}[/] {Markup.Escape(frame.Numbers(meter))}") { Overflow = Overflow.Ellipsis };
    }

    private async Task RepeatAsync(Task work, TimeSpan interval, Action show)
    {
        while (await Task.WhenAny(work, Task.Delay(interval, time)) != work)
            show();
    }
}
