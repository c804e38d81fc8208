using System.CommandLine;
using System.Globalization;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Synth;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw synth DIR --size SIZE</c>: a checkpoint to try things with.</summary>
internal sealed class SynthCommand : CliCommand
{
    private readonly Argument<string> _folder = new("DIR") { Description = "Folder to write; missing or empty." };
    private readonly Option<string> _size = new("--size") { HelpName = "SIZE", Description = "About how large.", Required = true };
    private readonly Option<string> _layout = new("--layout")
    {
        HelpName = "LAYOUT",
        Description = "Whose tensor names and shapes: qwen3 or deepseek-v3. Default: qwen3.",
        DefaultValueFactory = _ => "qwen3",
    };

    private readonly Option<long> _seed = new("--seed")
    {
        HelpName = "N",
        Description = "The same seed, size and layout make the same bytes. Default: 0.",
    };

    private readonly Option<string?> _change = new("--change")
    {
        HelpName = "PERCENT",
        Description = "Make a second version of that checkpoint: about so much of its weights, whole tensors, has other values, and all else is the same.",
    };

    private readonly Option<long> _changeSeed = new("--change-seed")
    {
        HelpName = "N",
        Description = "Which tensors --change changes, and to what. Default: 1.",
        DefaultValueFactory = _ => 1,
    };

    public SynthCommand()
        : base(
            "synth",
            "Write a made-up checkpoint in Hugging Face layout, to try things with.",
            "p2pw synth ./made-up --size 512MiB",
            "p2pw synth ./made-up --size 2GiB --layout deepseek-v3 --seed 7",
            "p2pw synth ./made-up-v2 --size 2GiB --layout deepseek-v3 --seed 7 --change 10%")
    {
        Add(_folder);
        Add(_size);
        Add(_layout);
        Add(_seed);
        Add(_change);
        Add(_changeSeed);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var folder = Texts.Option("DIR", arguments.GetRequiredValue(_folder), Texts.ParsePath);
        var size = Texts.Option(_size.Name, arguments.GetRequiredValue(_size), Texts.ParseBytes);
        var layout = Texts.Option(_layout.Name, arguments.GetRequiredValue(_layout), LayoutOf);
        var seed = arguments.GetValue(_seed);
        var change = arguments.GetValue(_change) is { } percent
            ? new SynthChange(Texts.Option(_change.Name, percent, PartOf), arguments.GetValue(_changeSeed))
            : null;
        var written = new Latest<long>();
        var summary = await new ProgressView(terminal, TimeProvider.System).WatchAsync(
            SyntheticCheckpoint.WriteAsync(new SynthOptions(folder, size, layout, seed, change), written, cancellationToken),
            () => new ProgressFrame($"writing {folder}", written.Value, size, []));
        terminal.Result(
            new { Folder = folder, summary.Files, summary.Tensors, summary.Parameters, summary.Bytes },
            text => text.WriteLine($"wrote {folder}: {Format.Count(summary.Files, "file")}, {Format.Count(summary.Tensors, "tensor")}, {Format.Bytes(summary.Bytes)}"));
        return 0;
    }

    private static SynthLayout LayoutOf(string text) =>
        SynthLayouts.TryParse(text, out var layout) ? layout.Value : throw new FormatException($"'{text}' is no layout; choose one of {SynthLayouts.Names}");

    private static double PartOf(string text) =>
        double.TryParse(text.TrimEnd('%'), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var percent) && percent is > 0 and <= 100
            ? percent / 100
            : throw new FormatException($"'{text}' is no part of a checkpoint; write 10% or 2.5%");
}
