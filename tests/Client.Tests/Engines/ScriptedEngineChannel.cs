using System.Collections.Concurrent;
using System.Collections.Immutable;
using P2PWeights.Client.Engines;

namespace P2PWeights.Client.Tests.Engines;

/// <summary>
/// A rank that does what a script says at each step and remembers what it was asked. A step is <c>open</c>, <c>load N</c> (from 0), <c>release</c>, <c>finish</c>
/// or <c>abort</c>; the script may wait, throw, or look at the memory. The order of calls is checked like a real channel's.
/// </summary>
internal sealed class ScriptedEngineChannel(EngineDevice device, Func<string, CancellationToken, Task>? script = null) : IEngineChannel
{
    private readonly ConcurrentQueue<string> _steps = new();
    private readonly ConcurrentQueue<ImmutableArray<TensorRecord>> _loaded = new();
    private string _state = "new";
    private int _busy;

    public string Name => $"scripted {Device}";

    public EngineDevice Device { get; } = device;

    /// <summary>Called with the tensors of a bucket while they lie in the slot memory, before the script's step.</summary>
    public Action<SlotMemory, ImmutableArray<TensorRecord>>? OnLoad { get; init; }

    public SlotMemory? Memory { get; private set; }

    /// <summary>The steps, in order; one that failed or was cancelled is followed by the same name and <c> failed</c>.</summary>
    public IReadOnlyList<string> Steps => [.. _steps];

    /// <summary>Buckets that were loaded, in order.</summary>
    public IReadOnlyList<ImmutableArray<TensorRecord>> Loaded => [.. _loaded];

    public string? AbortReason { get; private set; }

    public bool IsDisposed { get; private set; }

    public Task OpenAsync(SlotMemory memory, CancellationToken cancellationToken)
    {
        Memory = memory;
        return StepAsync("open", "new", "open", cancellationToken);
    }

    public async Task LoadAsync(ImmutableArray<TensorRecord> tensors, CancellationToken cancellationToken)
    {
        OnLoad?.Invoke(Memory!, tensors);
        await StepAsync($"load {_loaded.Count}", "open", "open", cancellationToken);
        _loaded.Enqueue(tensors);
    }

    public Task ReleaseAsync(CancellationToken cancellationToken) => StepAsync("release", "open", "released", cancellationToken);

    public Task FinishAsync(CancellationToken cancellationToken) => StepAsync("finish", "released", "finished", cancellationToken);

    public async Task AbortAsync(string reason)
    {
        if (_state != "finished")
        {
            AbortReason = reason;
            _steps.Enqueue("abort");
            _state = "aborted";
            await (script?.Invoke("abort", CancellationToken.None) ?? Task.CompletedTask);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (!IsDisposed && _state is not "finished" and not "aborted")
        {
            await AbortAsync("disposed");
        }

        IsDisposed = true;
    }

    private async Task StepAsync(string step, string before, string after, CancellationToken cancellationToken)
    {
        Assert.Equal(0, Interlocked.Exchange(ref _busy, 1));
        Assert.Equal(before, _state);
        _steps.Enqueue(step);
        try
        {
            await (script?.Invoke(step, cancellationToken) ?? Task.CompletedTask);
            cancellationToken.ThrowIfCancellationRequested();
            _state = after;
        }
        catch
        {
            _steps.Enqueue($"{step} failed");
            _state = "failed";
            throw;
        }
        finally
        {
            Volatile.Write(ref _busy, 0);
        }
    }
}
