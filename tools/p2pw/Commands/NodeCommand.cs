using System.CommandLine;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Client;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw node</c>: stores and serves shards on this machine until it is told to stop.</summary>
internal sealed class NodeCommand : CliCommand
{
    private readonly NodeSettings _settings = new();
    private readonly ServingProcess _process = new();

    public NodeCommand()
        : base(
            "node",
            "Store and serve shards; one per machine.",
            "p2pw node --name n1 --tracker http://127.0.0.1:7400 --listen 127.0.0.1:7501 --data /data/p2pw --memory 2GiB --disk 20GiB --socket /data/p2pw/node.sock",
            "p2pw node --listen 0.0.0.0:7501 --cluster-key-file /etc/p2pweights/key --discover --cluster prod",
            "p2pw node --config /etc/p2pweights/node.json")
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
            await using var node = await PeerNode.StartAsync(options, TimeProvider.System, loggers, stop);
            var status = await node.StatusAsync(stop);
            terminal.Result(
                new { Ready = true, status.Id, status.Name, status.Endpoint, options.Socket, Data = options.DataDirectory },
                text => text.WriteLine($"ready node={status.Name} id={status.Id} peers={status.Endpoint} socket={options.Socket} data={options.DataDirectory}"));
            await ServingProcess.UntilStoppedAsync(stop);
        }, cancellationToken);
    }
}
