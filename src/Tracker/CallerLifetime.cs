using Microsoft.Extensions.Hosting;

namespace P2PWeights.Tracker;

/// <summary>The server lives as long as its owner says; it leaves signals like Ctrl-C to the program.</summary>
public sealed class CallerLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
