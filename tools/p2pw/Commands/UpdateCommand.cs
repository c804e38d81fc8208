using System.CommandLine;
using System.Globalization;
using P2PWeights.Cli.Output;
using P2PWeights.Cli.Settings;
using P2PWeights.Cli.Targets;
using P2PWeights.Client;
using P2PWeights.Store.Content;

namespace P2PWeights.Cli.Commands;

/// <summary><c>p2pw update name@version --engine URL</c>: brings a checkpoint into running engines of the node's host.</summary>
internal sealed class UpdateCommand : CliCommand
{
    private readonly Argument<string> _checkpoint = new("name@version") { Description = "What the engines are to hold; a tag may stand for the version." };
    private readonly Option<string[]> _engines = new("--engine")
    {
        HelpName = "URL",
        Description = "A running engine: vllm+http://HOST:PORT, sglang+http://HOST:PORT, or python+unix:///PATH for a process with the package p2pweights. May be given several times.",
        Required = true,
    };

    private readonly Option<string?> _broadcast = new("--broadcast")
    {
        HelpName = "MODE",
        Description = $"{BroadcastModes.Peer}: GPUs copy from each other, and one that stalls is left behind. {BroadcastModes.Nccl}: collective operations. Default: {BroadcastModes.Peer}.",
    };

    private readonly Option<string?> _slot = new("--slot") { HelpName = "SIZE", Description = "GPU memory of one slot, at most, 1MiB or more; a larger tensor makes it larger. Default: 1GiB." };
    private readonly Option<int?> _slots = new("--slots") { HelpName = "N", Description = "Slots per GPU, at most, 1 to 64. Default: 4." };
    private readonly Option<double?> _fraction = new("--gpu-fraction") { HelpName = "PART", Description = "The part of the GPUs' free memory that slots may take. Default: 0.9." };
    private readonly Option<string?> _timeout = new("--gpu-timeout") { HelpName = "DURATION", Description = "A GPU whose copies do not end for this long is left behind, 1s to 1h. Default: 30s." };
    private readonly Option<bool> _wait = new("--wait") { Description = "Wait for an update that runs already, instead of being refused." };
    private readonly Option<bool> _verify = new("--verify")
    {
        Description = "Have the engines read every tensor back, and compare with the checkpoint. Needs the package p2pweights in the engine, and takes about as long as hashing the model.",
    };

    private readonly TargetOptions _target = new();

    public UpdateCommand()
        : base(
            "update",
            "Bring a checkpoint into running inference engines of this host, pulling what is not here yet.",
            "p2pw update llama-3/8b@latest --engine vllm+http://127.0.0.1:8000",
            "p2pw update llama-3/8b@step-100 --engine vllm+http://127.0.0.1:8000?gpus=0,1 --engine vllm+http://127.0.0.1:8001?gpus=2,3",
            "p2pw update llama-3/8b@latest --engine python+unix:///run/me/engine.sock --verify")
    {
        Add(_checkpoint);
        foreach (var option in (Option[])[_engines, _broadcast, _slot, _slots, _fraction, _timeout, _wait, _verify])
            Add(option);
        _target.AddNodeTo(this);
    }

    protected override async Task<int> RunAsync(ParseResult arguments, Terminal terminal, CancellationToken cancellationToken)
    {
        var request = Read(arguments);
        var target = await _target.ReadAsync(arguments, cancellationToken);
        using var node = target.OpenNode();
        var latest = new Latest<UpdateProgress>();
        var report = await new ProgressView(terminal, TimeProvider.System).WatchAsync(
            node.UpdateAsync(request, latest, cancellationToken),
            () => latest.Value is { } progress ? Frame(request.Checkpoint, progress) : null);
        terminal.Result(JsonShapes.Of(report), text => Reports.Write(text, report));
        if (report.Cancelled)
            cancellationToken.ThrowIfCancellationRequested();
        if (report.Failure is { } failure)
            terminal.Note($"the update broke off: {failure.Message}");
        return ExitCode(report);
    }

    /// <summary>Wrong bytes in an engine come before everything else.</summary>
    private static int ExitCode(UpdateReport report) =>
        report.Engines.Any(engine => engine.Verification?.Outcome == VerificationOutcomes.Differs) ? (int)NodeError.Integrity
        : report.Failure is { } failure ? (int)failure.Error
        : report.IsComplete() && report.IsVerified() != false && !report.Cancelled ? 0
        : (int)NodeError.Failed;

    private UpdateRequest Read(ParseResult arguments)
    {
        var request = new UpdateRequest(Texts.Checkpoint(arguments.GetRequiredValue(_checkpoint)).ToString(), arguments.GetRequiredValue(_engines));
        return request with
        {
            Broadcast = arguments.GetValue(_broadcast) is { } mode ? Texts.Option(_broadcast.Name, mode, ParseMode) : request.Broadcast,
            SlotBytes = arguments.GetValue(_slot) is { } slot ? Texts.Option(_slot.Name, slot, ParseSlot) : request.SlotBytes,
            Slots = arguments.GetValue(_slots) is { } slots ? Texts.Option(_slots.Name, slots.ToString(CultureInfo.InvariantCulture), ParseSlots) : request.Slots,
            MemoryFraction = arguments.GetValue(_fraction) is { } part ? Texts.Option(_fraction.Name, part.ToString(CultureInfo.InvariantCulture), ParseFraction) : request.MemoryFraction,
            DeviceTimeout = arguments.GetValue(_timeout) is { } timeout ? Texts.Option(_timeout.Name, timeout, ParseTimeout) : request.DeviceTimeout,
            Wait = arguments.GetValue(_wait),
            Verify = arguments.GetValue(_verify),
        };
    }

    private static string ParseMode(string text) => text is BroadcastModes.Peer or BroadcastModes.Nccl
        ? text
        : throw new FormatException($"'{text}' is no way to broadcast; write {BroadcastModes.Peer} or {BroadcastModes.Nccl}");

    private static long ParseSlot(string text) => ByteSize.Parse(text) is var size and >= UpdateRequest.MinSlotBytes
        ? size
        : throw new FormatException($"'{text}' is less than 1MiB");

    private static int ParseSlots(string text) => int.Parse(text, CultureInfo.InvariantCulture) is var slots and > 0 and <= UpdateRequest.MaxSlots
        ? slots
        : throw new FormatException($"'{text}' is no number of slots; write 1 to 64");

    private static double ParseFraction(string text) => double.Parse(text, CultureInfo.InvariantCulture) is var part and > 0 and <= 1
        ? part
        : throw new FormatException($"'{text}' is no part; write a number above 0 and at most 1");

    private static TimeSpan ParseTimeout(string text) => Texts.ParseDuration(text) is var timeout && timeout >= UpdateRequest.MinDeviceTimeout && timeout <= UpdateRequest.MaxDeviceTimeout
        ? timeout
        : throw new FormatException($"'{text}' is not between 1s and 1h");

    private static ProgressFrame Frame(string checkpoint, UpdateProgress progress)
    {
        if (progress.BucketsTotal == 0)
            return new ProgressFrame("waiting for another update of this node to end", 0, 0, []);
        if (progress.BucketsVerified is { } verified)
        {
            return new ProgressFrame(
                $"reading {checkpoint} back", progress.BytesTotal / progress.BucketsTotal * verified, progress.BytesTotal,
                [$"{verified} of {Format.Count(progress.BucketsTotal, "bucket")} compared"]);
        }

        List<string> details = [$"{progress.Buckets} of {Format.Count(progress.BucketsTotal, "bucket")}"];
        if (progress.Pull is { } pull && pull.BytesDone < pull.BytesTotal)
            details.Add($"{Format.Share(pull.BytesDone, pull.BytesTotal)} pulled");
        return new ProgressFrame(
            $"updating engines with {checkpoint}", progress.BytesTotal / progress.BucketsTotal * progress.Buckets, progress.BytesTotal, details);
    }
}
