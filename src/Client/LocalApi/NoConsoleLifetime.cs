using Microsoft.Extensions.Hosting;

namespace P2PWeights.Client.LocalApi;

/// <summary>The web host's life belongs to the node: the default would take the process's signals and write to the console.</summary>
internal sealed class NoConsoleLifetime : IHostLifetime
{
    public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
