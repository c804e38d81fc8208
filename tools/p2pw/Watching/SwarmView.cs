using P2PWeights.Cli.Output;
using P2PWeights.Tracker;
using Spectre.Console;

namespace P2PWeights.Cli.Watching;

/// <summary>Shows a swarm until nobody pulls any more: in place on a terminal, line after line elsewhere, one document per look with <c>--json</c>. This is the result, so it goes to standard output.</summary>
internal sealed class SwarmView(Terminal terminal, TimeProvider time)
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Lines for people who read them later.</summary>
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(3);

    /// <param name="look">Asks for the swarm as it is now.</param>
    /// <returns>The last look.</returns>
    public async Task<SwarmTick> RunAsync(SwarmWatch watch, Func<CancellationToken, Task<SwarmStatus>> look, CancellationToken cancellationToken)
    {
        if (!terminal.Coloured)
        {
            return await RepeatAsync(watch, look, terminal.Json ? Interval : LineInterval, Print, cancellationToken);
        }

        var last = await terminal.OutputConsole.Live(new Text("")).AutoClear(true).Overflow(VerticalOverflow.Ellipsis).StartAsync(live =>
            RepeatAsync(watch, look, Interval, tick => live.UpdateTarget(new Text(Text(tick))), cancellationToken));
        Print(last);
        return last;
    }

    private async Task<SwarmTick> RepeatAsync(
        SwarmWatch watch, Func<CancellationToken, Task<SwarmStatus>> look, TimeSpan interval, Action<SwarmTick> show, CancellationToken cancellationToken)
    {
        var start = time.GetTimestamp();
        while (true)
        {
            var status = await look(cancellationToken);
            var tick = watch.Look(time.GetElapsedTime(start), status);
            show(tick);
            if (tick.IsOver)
            {
                return tick;
            }

            await Task.Delay(interval, time, cancellationToken);
        }
    }

    private void Print(SwarmTick tick) => terminal.Result(SwarmTexts.Document(tick), text => text.Write(Text(tick)));

    private static string Text(SwarmTick tick)
    {
        using var text = new StringWriter();
        text.WriteLine(SwarmTexts.Summary(tick));
        SwarmTexts.WriteTable(text, tick);
        return text.ToString();
    }
}
