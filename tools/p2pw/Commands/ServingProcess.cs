using System.CommandLine;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Console;

namespace P2PWeights.Cli.Commands;

/// <summary>How <c>tracker</c> and <c>node</c> live: logs to standard error, a stop by signal that ends with exit code 0, and, for <c>demo</c>, a life tied to the parent's.</summary>
internal sealed class ServingProcess
{
    /// <summary>The flag that <c>demo</c> gives its children.</summary>
    public const string DieWithParentFlag = "--die-with-parent";

    // The parent holds the other end of our standard input: when it dies, however it dies, the pipe closes. Unlike PR_SET_PDEATHSIG this does not fire when
    // merely the thread ends that started us, and we still stop gracefully, so that no arena is left in /dev/shm.
    private readonly Option<bool> _dieWithParent = new(DieWithParentFlag) { Hidden = true, Description = "Stop when standard input ends." };

    public void AddTo(Command command) => command.Add(_dieWithParent);

    /// <summary>Runs <paramref name="serve"/> with a logger factory and a token that says when to stop; being stopped is success.</summary>
    public async Task<int> RunAsync(
        ParseResult arguments, LogLevel level, Func<ILoggerFactory, CancellationToken, Task> serve, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        if (arguments.GetValue(_dieWithParent))
            CancelAtEndOfInput(stop);
        using var loggers = LoggerFactory.Create(logging => logging
            .SetMinimumLevel(level)
            .AddFilter("Microsoft", LogLevel.Warning)

            // A start that fails is told once, as the failure of the command, not with a stack before that.
            .AddFilter("Microsoft.Extensions.Hosting.Internal.Host", LogLevel.None)
            .AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.UseUtcTimestamp = true;
                console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
                console.ColorBehavior = LoggerColorBehavior.Disabled;
            })
            .Services.Configure<ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace));
        try
        {
            await serve(loggers, stop.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Stopped before it was ready: still a stop that was asked for.
        }

        return 0;
    }

    /// <summary>Returns when <paramref name="stop"/> is cancelled.</summary>
    public static async Task UntilStoppedAsync(CancellationToken stop)
    {
        var stopped = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = stop.Register(stopped.SetResult);
        await stopped.Task;
    }

    /// <summary>A thread of its own: a blocking read of a pipe cannot be cancelled, and ends with the process.</summary>
    private static void CancelAtEndOfInput(CancellationTokenSource stop)
    {
        var input = Console.OpenStandardInput();
        new Thread(() =>
        {
            Span<byte> ignored = stackalloc byte[64];
            while (input.Read(ignored) > 0)
            {
            }

            try
            {
                stop.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // The process is past serving already.
            }
        })
        { IsBackground = true, Name = "parent watch" }.Start();
    }
}
