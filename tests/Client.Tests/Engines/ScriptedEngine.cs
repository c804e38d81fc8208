using System.Collections.Immutable;
using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>An engine of scripted ranks; it holds what <paramref name="hash"/> says.</summary>
internal sealed class ScriptedEngine(ImmutableArray<ScriptedEngineChannel> channels, Func<string, byte[]>? hash = null) : IEngine
{
    public string Name => "scripted";

    public ImmutableArray<EngineDevice> Devices { get; } = [.. channels.Select(channel => channel.Device)];

    /// <summary>The checkpoint that the update was begun with; null before.</summary>
    public string? Checkpoint { get; private set; }

    public ImmutableArray<IEngineChannel> BeginUpdate(string checkpoint)
    {
        Assert.Null(Checkpoint);
        Checkpoint = checkpoint;
        return [.. channels];
    }

    public Task<ImmutableArray<ReadOnlyMemory<byte>>> HashAsync(ImmutableArray<string> tensors, CancellationToken cancellationToken) => hash is null
        ? throw new EngineException(EngineError.NotSupported, $"{Name} cannot read its tensors back")
        : Task.FromResult(tensors.Select(name => (ReadOnlyMemory<byte>)hash(name)).ToImmutableArray());

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
