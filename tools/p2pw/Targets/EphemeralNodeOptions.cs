using System.CommandLine;
using P2PWeights.Cli.Settings;
using P2PWeights.Client;
using P2PWeights.Transfer;

namespace P2PWeights.Cli.Targets;

/// <summary>Options of the node that <c>publish</c> and <c>pull</c> start inside themselves with <c>--tracker</c>.</summary>
internal sealed class EphemeralNodeOptions
{
    private readonly Option<string?> _listen = new("--listen")
    {
        HelpName = "HOST:PORT",
        Description = "With --tracker: where peers reach this command. Default: this machine's address towards the tracker.",
    };

    private readonly Option<bool> _insecure = new("--insecure")
    {
        Description = "With --tracker: listen beyond loopback without a cluster key.",
    };

    private readonly Option<string?> _uploadLimit = new("--upload-limit")
    {
        HelpName = "RATE",
        Description = "With --tracker: most bytes per second sent.",
    };

    private readonly Option<string?> _downloadLimit = new("--download-limit")
    {
        HelpName = "RATE",
        Description = "With --tracker: most bytes per second received.",
    };

    private readonly Option<string?> _paths = new($"--{AllowedPaths.List}")
    {
        HelpName = "PATH[,PATH]",
        Description = $"With --tracker: {AllowedPaths.ListHelp} Default: {string.Join(',', PathNames.Default)}.",
    };

    private readonly IReadOnlyDictionary<string, Option<bool>> _offSwitches = PathNames.All.ToDictionary(
        path => path, path => new Option<bool>($"--{AllowedPaths.OffSwitch(path)}") { Description = $"With --tracker: {AllowedPaths.OffHelp(path)}" });

    private readonly Option<string?> _noSourceTimeout = new("--no-source-timeout")
    {
        HelpName = "DURATION",
        Description = "With --tracker: how long a pull waits without any source. Default: 30s.",
    };

    /// <param name="pulls">Whether the command pulls, so that the options of a pull mean something.</param>
    public void AddTo(Command command, bool pulls)
    {
        command.Add(_listen);
        command.Add(_insecure);
        command.Add(_uploadLimit);
        if (!pulls)
            return;
        command.Add(_downloadLimit);
        command.Add(_paths);
        foreach (var off in _offSwitches.Values)
            command.Add(off);
        command.Add(_noSourceTimeout);
    }

    /// <summary>The command goes to a running node, which has settings of its own: what would be ignored is refused.</summary>
    /// <exception cref="NodeException">One of these options is given.</exception>
    public void RefuseAll(ParseResult arguments)
    {
        Option[] all = [_listen, _insecure, _uploadLimit, _downloadLimit, _paths, .. _offSwitches.Values, _noSourceTimeout];
        if (Array.Find(all, option => arguments.GetResult(option) is { Implicit: false }) is { } given)
        {
            throw new NodeException(
                NodeError.Usage, $"{given.Name} goes with --tracker or --discover, where the command moves the bytes itself. A running node does it by its own settings: start that one with {given.Name}. Nothing was done.");
        }
    }

    public string? Listen(ParseResult arguments) => Read<string?>(arguments, _listen, Texts.ParseEndpoint, null);

    public bool Insecure(ParseResult arguments) => arguments.GetValue(_insecure);

    public long UploadLimit(ParseResult arguments) => Read(arguments, _uploadLimit, Texts.ParseRate, 0);

    public long DownloadLimit(ParseResult arguments) => Read(arguments, _downloadLimit, Texts.ParseRate, 0);

    public IReadOnlyList<string> Paths(ParseResult arguments) =>
        AllowedPaths.Of(Read(arguments, _paths, Texts.ParsePaths, PathNames.Default), path => arguments.GetValue(_offSwitches[path]));

    public TimeSpan NoSourceTimeout(ParseResult arguments) =>
        Read(arguments, _noSourceTimeout, Texts.ParseDuration, TimeSpan.FromSeconds(30));

    private static T Read<T>(ParseResult arguments, Option<string?> option, Func<string, T> parse, T fallback) =>
        arguments.GetValue(option) is { } text ? Texts.Option(option.Name, text, parse) : fallback;
}
