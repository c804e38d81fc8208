using System.Text.Json;

namespace P2PWeights.Client.Engines;

/// <summary>
/// The one request that an update is for an engine: it begins the update, and its answer, which comes when all ranks have ended, is the engine's verdict on
/// the whole. Shared by the channels of the engine's ranks, so that a refusal ends their waits at once; each disposes it once, and the last one ends it.
/// </summary>
internal sealed class EngineUpdateCall : IAsyncDisposable
{
    /// <summary>Of an answer that is not what it should be; all of it is in <see cref="EngineException.Traceback"/>.</summary>
    private const int ShownChars = 200;

    private readonly CancellationTokenSource _ended = new();
    private readonly CancellationTokenSource _failed = new();
    private readonly CancellationTokenSource _nobodyComes = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly TimeSpan _patience;
    private readonly bool _saysSuccess;
    private string? _abortReason;
    private volatile bool _isRankUntold;
    private int _ranks;

    /// <param name="kind">Decides what an answer must say.</param>
    /// <param name="ranks">Channels that share it.</param>
    /// <param name="call">Makes the request.</param>
    /// <param name="patience">How long the answer is awaited once a rank was aborted.</param>
    public EngineUpdateCall(string engine, EngineKind kind, int ranks, Func<CancellationToken, Task<ReadOnlyMemory<byte>>> call, TimeSpan patience)
    {
        _ranks = ranks;
        _patience = patience;
        _saysSuccess = kind != EngineKind.Vllm;
        Ended = _ended.Token;
        Failed = _failed.Token;
        NobodyComes = _nobodyComes.Token;
        Verdict = JudgeAsync(engine, call);
    }

    /// <summary>Cancelled when the answer is there.</summary>
    public CancellationToken Ended { get; }

    /// <summary>Cancelled when the answer is there and says that the update failed.</summary>
    public CancellationToken Failed { get; }

    /// <summary>
    /// Cancelled when no rank will connect any more: the engine reported success, or was never asked. A failure does not say so: vLLM reports its first rank's while others are still to
    /// connect. After the call's disposal it says nothing new.
    /// </summary>
    public CancellationToken NobodyComes { get; }

    /// <summary>Null when the engine reported success, else what it said. Never faults.</summary>
    public Task<EngineException?> Verdict { get; }

    /// <summary>A rank was aborted, so there is no success to be had: what the engine still has to say is awaited a short while.</summary>
    /// <param name="isTold">The rank knows. With one that does not, or has left, disposal does not wait for the engine's answer, which may never come.</param>
    public void Abandon(string reason, bool isTold)
    {
        if (!isTold)
        {
            _isRankUntold = true;
        }

        Interlocked.CompareExchange(ref _abortReason, reason, null);
        if (!Verdict.IsCompleted)
        {
            // From the last rank on: the engine cannot end the update before that one knows.
            _stop.CancelAfter(_patience);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Decrement(ref _ranks) > 0)
        {
            return;
        }

        if (_abortReason is null || _isRankUntold)
        {
            await _stop.CancelAsync().ConfigureAwait(false);
        }

        // An engine takes the next update only when it has ended this one, which ranks that were told do soon.
        await Verdict.ConfigureAwait(false);
        _stop.Dispose();
        _ended.Dispose();
        _failed.Dispose();
        _nobodyComes.Dispose();
    }

    private async Task<EngineException?> JudgeAsync(string engine, Func<CancellationToken, Task<ReadOnlyMemory<byte>>> call)
    {
        EngineException? failure;
        var nobodyComes = false;
        try
        {
            failure = Judge(engine, await call(_stop.Token).ConfigureAwait(false));
            nobodyComes = failure is null;
        }
        catch (EngineException e)
        {
            failure = e;
            nobodyComes = e.Error == EngineError.NotSupported || e.InnerException is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError };
        }
        catch (OperationCanceledException e)
        {
            failure = new EngineException(EngineError.Died, $"engine {engine}: the update was given up: {_abortReason ?? "it was ended from here"}", e);
        }
        catch (Exception e)
        {
            // What comes from outside may fail in ways that nobody thought of, and all ranks wait for this verdict.
            failure = new EngineException(EngineError.Refused, $"engine {engine} answered with what cannot be read, so what became of the update is not known: {EngineText.Clean(e.Message)}", e);
        }

        if (nobodyComes)
        {
            await _nobodyComes.CancelAsync().ConfigureAwait(false);
        }

        if (failure is not null)
        {
            await _failed.CancelAsync().ConfigureAwait(false);
        }

        await _ended.CancelAsync().ConfigureAwait(false);
        return failure;
    }

    /// <summary>vLLM says nothing more than its status; SGLang and our package say <c>{"success": bool, "message": text}</c>, so that an answer without it is of somebody else.</summary>
    /// <exception cref="Exception">The answer is no text that can be read: half of a surrogate pair, for instance, as Python escapes the bytes of a path that are not UTF-8.</exception>
    private EngineException? Judge(string engine, ReadOnlyMemory<byte> answer)
    {
        var (success, message) = Read(answer);
        if (success == true || (success is null && !_saysSuccess))
        {
            return null;
        }

        if (success is null)
        {
            var text = EngineText.Clean(answer.Span);
            var came = EngineText.LastLine(text);
            return new EngineException(
                EngineError.Refused,
                $"engine {engine} did not say whether the update succeeded, which {{\"success\": true}} does; it answered {(came.Length == 0 ? "with nothing" : $"'{came[..Math.Min(came.Length, ShownChars)]}'")}: is this its address, and its kind?")
            {
                Traceback = text.Length == 0 ? null : text,
            };
        }

        return new EngineException(EngineError.Refused, $"engine {engine} reports that the update failed: {EngineText.LastLine(message)}") { Traceback = message };
    }

    /// <summary>What an answer says of success, null when it does not, and why.</summary>
    private static (bool? Success, string Message) Read(ReadOnlyMemory<byte> answer)
    {
        try
        {
            using var json = JsonDocument.Parse(answer);
            if (json.RootElement.ValueKind != JsonValueKind.Object || !json.RootElement.TryGetProperty("success", out var success) || success.ValueKind is not (JsonValueKind.True or JsonValueKind.False))
            {
                return (null, "");
            }

            var message = json.RootElement.TryGetProperty("message", out var said) && said.ValueKind == JsonValueKind.String ? EngineText.Clean(said.GetString()!) : "it does not say why";
            return (success.GetBoolean(), message);
        }
        catch (JsonException)
        {
            // No JSON, or nothing at all: vLLM may do so.
            return (null, "");
        }
    }
}
