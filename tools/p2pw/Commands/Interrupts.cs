using System.Runtime.InteropServices;

namespace P2PWeights.Cli.Commands;

/// <summary>
/// Ctrl-C, SIGTERM and a closed terminal as one cancellation token, so that a command can clean up. A second signal ends the process at once, as if nobody listened.
/// </summary>
internal sealed class Interrupts : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly List<PosixSignalRegistration> _registrations;
    private volatile string? _signal;

    public Interrupts() =>
        _registrations = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM, PosixSignal.SIGHUP }.Select(signal => PosixSignalRegistration.Create(signal, Handle))];

    public CancellationToken Token => _source.Token;

    /// <summary>128 plus the signal's number, as shells report it; null while no signal came.</summary>
    public int? ExitCode => _signal switch
    {
        null => null,
        nameof(PosixSignal.SIGINT) => 130,
        nameof(PosixSignal.SIGHUP) => 129,
        _ => 143,
    };

    public string Reason => _signal is null or nameof(PosixSignal.SIGINT) ? "interrupted" : $"stopped by {_signal}";

    public void Dispose()
    {
        _registrations.ForEach(registration => registration.Dispose());
        _source.Dispose();
    }

    private void Handle(PosixSignalContext context)
    {
        if (_signal is not null)
            return;
        context.Cancel = true;
        _signal = context.Signal.ToString();
        _source.Cancel();
    }
}
