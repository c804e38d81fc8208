using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Tracker;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw tracker</c>: serves the catalog and the swarm state until it is told to stop.</summary>
internal sealed class TrackerCommand : CliCommand
{
    private readonly TrackerSettings _settings = new();
    private readonly ServingProcess _process = new();

    public TrackerCommand()
        : base(
            "tracker",
            "Serve the catalog, and tell peers of each other.",
            "p2pw tracker --listen 127.0.0.1:7400 --data /var/lib/p2pweights/tracker",
            "p2pw tracker --listen 0.0.0.0:7400 --cluster-key-file /etc/p2pweights/key",
            "p2pw tracker --listen 0.0.0.0:7400 --cluster-key-file /etc/p2pweights/key --advertise --cluster prod")
    {
        _settings.AddTo(this);
        _process.AddTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var environment = SettingsReader.Environment();
        var values = _settings.Read(arguments, environment, arguments.GetValue(_settings.Config));
        var options = _settings.Options(values, environment);
        return await _process.RunAsync(arguments, _settings.LogLevelOf(values), async (loggers, stop) =>
        {
            await using var tracker = await TrackerServer.StartAsync(options, TimeProvider.System, loggers, stop);
            terminal.Result(
                new { Ready = true, Address = tracker.Address.ToString(), Data = options.DataDirectory },
                text => text.WriteLine($"ready tracker={tracker.Address.ToString().TrimEnd('/')} data={options.DataDirectory}"));
            await ServingProcess.UntilStoppedAsync(stop);
        }, cancellationToken);
    }
}
