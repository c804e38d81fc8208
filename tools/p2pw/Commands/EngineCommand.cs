using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Logging;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Client.Engines.StandIn;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw engine</c>: an engine without a model, to try updates with and for <c>demo</c>.</summary>
internal sealed class EngineCommand : CliCommand
{
    private readonly Option<string> _socket = new("--socket") { HelpName = "PATH", Description = "Unix socket at which it is asked to update.", Required = true };
    private readonly Option<int> _rank = new("--rank") { HelpName = "N", Description = "A number of its own for each engine of the host. Default: 0.", DefaultValueFactory = _ => 0 };
    private readonly ServingProcess _process = new();

    public EngineCommand()
        : base(
            "engine",
            "Stand in for an inference engine: take updates into memory, answer for every tensor. To try `p2pw update` without a GPU or Python.",
            "p2pw engine --socket ./engine.sock")
    {
        Add(_socket);
        Add(_rank);
        _process.AddTo(this);
    }

    protected override Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var socket = Texts.Option(_socket.Name, arguments.GetRequiredValue(_socket), Texts.ParsePath);
        var rank = Texts.Option(_rank.Name, arguments.GetValue(_rank).ToString(CultureInfo.InvariantCulture), ParseRank);
        return _process.RunAsync(
            arguments,
            LogLevel.Warning,
            async (_, stop) =>
            {
                await using var engine = await StandInEngine.StartAsync(socket, rank, stop);
                terminal.Result(new { Ready = true, engine.Url }, text => text.WriteLine($"ready engine={engine.Url}"));
                await ServingProcess.UntilStoppedAsync(stop);
            },
            cancellationToken);
    }

    private static int ParseRank(string text) => int.Parse(text, CultureInfo.InvariantCulture) is var rank and >= 0 and <= 999_999
        ? rank
        : throw new FormatException($"'{text}' is no rank; write 0 to 999999");
}
