using System.Text.Json;

namespace P2PWeights.Client.Engines;

/// <summary>
/// The one request that an update is for an engine: it begins the update, and its answer, which comes when all ranks have ended, is the engine's verdict on
/// the whole. Shared by the channels of the engine's ranks, so that a refusal ends their waits at once; each disposes it once, and the last one ends it.
/// </summary>
internal sealed class EngineUpdateCall : IAsyncDisposable
{
    private readonly CancellationTokenSource _ended = new();
    private readonly CancellationTokenSource _failed = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TimeSpan _patience;
    private string? _abortReason;
    private int _ranks;

    /// <param name="ranks">Channels that share it.</param>
    /// <param name="call">Makes the request.</param>
    /// <param name="patience">How long the answer is awaited once a rank was aborted.</param>
    public EngineUpdateCall(string engine, int ranks, Func<CancellationToken, Task<ReadOnlyMemory<byte>>> call, TimeSpan patience)
    {
        _ranks = ranks;
        _patience = patience;
        Ended = _ended.Token;
        Failed = _failed.Token;
        Verdict = JudgeAsync(engine, call);
    }

    /// <summary>Cancelled when the answer is there.</summary>
    public CancellationToken Ended { get; }

    /// <summary>Cancelled when the answer is there and says that the update failed.</summary>
    public CancellationToken Failed { get; }

    /// <summary>Null when the engine reported success, else what it said. Never faults.</summary>
    public Task<EngineException?> Verdict { get; }

    /// <summary>A rank was aborted, so there is no success to be had: what the engine still has to say is awaited a short while.</summary>
    public void Abandon(string reason)
    {
        if (Interlocked.CompareExchange(ref _abortReason, reason, null) is null && !Verdict.IsCompleted)
        {
            _stop.CancelAfter(_patience);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Decrement(ref _ranks) > 0)
        {
            return;
        }

        await _stop.CancelAsync().ConfigureAwait(false);
        await Verdict.ConfigureAwait(false);
        _stop.Dispose();
        _ended.Dispose();
        _failed.Dispose();
    }

    private async Task<EngineException?> JudgeAsync(string engine, Func<CancellationToken, Task<ReadOnlyMemory<byte>>> call)
    {
        EngineException? failure;
        try
        {
            failure = Judge(engine, await call(_stop.Token).ConfigureAwait(false));
        }
        catch (EngineException e)
        {
            failure = e;
        }
        catch (OperationCanceledException e)
        {
            failure = new EngineException(EngineError.Died, $"engine {engine}: the update was given up: {_abortReason ?? "it was ended from here"}", e);
        }

        if (failure is not null)
        {
            await _failed.CancelAsync().ConfigureAwait(false);
        }

        await _ended.CancelAsync().ConfigureAwait(false);
        return failure;
    }

    /// <summary>vLLM says nothing more than its status; SGLang and our package say <c>{"success": bool, "message": text}</c>.</summary>
    private static EngineException? Judge(string engine, ReadOnlyMemory<byte> answer)
    {
        try
        {
            using var json = JsonDocument.Parse(answer);
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.TryGetProperty("success", out var success) && success.ValueKind == JsonValueKind.False)
            {
                var message = json.RootElement.TryGetProperty("message", out var said) && said.ValueKind == JsonValueKind.String ? EngineText.Clean(said.GetString()!) : "it does not say why";
                return new EngineException(EngineError.Refused, $"engine {engine} reports that the update failed: {EngineText.LastLine(message)}") { Traceback = message };
            }
        }
        catch (JsonException)
        {
            // No JSON, or none at all, with a status of success: vLLM may do so.
        }
        catch (InvalidOperationException e)
        {
            // JSON whose strings are no text: half of a surrogate pair, as Python escapes the bytes of a path that are not UTF-8.
            return new EngineException(EngineError.Refused, $"engine {engine} answered with a text that cannot be read, so what became of the update is not known: {e.Message}", e);
        }

        return null;
    }
}
