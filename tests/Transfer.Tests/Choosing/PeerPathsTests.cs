using Microsoft.Extensions.Logging;
using P2PWeights.Transfer.Choosing;

namespace P2PWeights.Transfer.Tests.Choosing;

public sealed class PeerPathsTests
{
    [Fact]
    public void Peer_out_of_reach_by_rdma_is_one_line_of_the_log_with_the_reason_and_by_other_paths_none()
    {
        using var metrics = new TransferMetrics();
        var log = new Lines();
        string[] names = [PathNames.Local, PathNames.Rdma, PathNames.Tcp];
        var paths = new PeerPaths("b", names, TimeSpan.FromSeconds(2), metrics, TimeProvider.System, log);

        for (var round = 0; round < 3; round++)
        {
            for (var path = 0; path < names.Length; path++)
            {
                paths.Demote(path, FailureReasons.Unreachable, $"no way by {names[path]}");
            }
        }

        Assert.Equal(9, log.All.Count);
        var shown = Assert.Single(log.All, line => line.Level > LogLevel.Debug);
        Assert.Equal(LogLevel.Information, shown.Level);
        Assert.StartsWith("Path rdma does not reach b, ", shown.Text, StringComparison.Ordinal);
        Assert.EndsWith(": no way by rdma", shown.Text, StringComparison.Ordinal);
    }

    /// <summary>A log that is kept.</summary>
    private sealed class Lines : ILogger
    {
        public List<(LogLevel Level, string Text)> All { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            All.Add((logLevel, formatter(state, exception)));
    }
}
