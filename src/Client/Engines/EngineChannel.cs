using System.Buffers;
using System.Collections.Immutable;
using System.Net.Sockets;
using P2PWeights.Client.Engines.Zmtp;

namespace P2PWeights.Client.Engines;

/// <summary>
/// The worker side of checkpoint-engine's protocol is at the other end (docs/protocol.md, engine channels): stock vLLM and SGLang, or our own Python package,
/// which also takes slots in the host's memory. We bind, the engine connects.
/// </summary>
internal sealed class EngineChannel : IEngineChannel
{
    private readonly EngineUpdateCall _update;
    private readonly EngineOptions _options;
    private readonly ArrayBufferWriter<byte> _message = new();
    private readonly ZmtpListener _listener;
    private readonly Farewells _farewells;
    private ZmtpConnection? _connection;
    private SlotMemory? _memory;
    private Deadline? _finishing;
    private bool _isFinished;
    private bool _isAborted;
    private bool _isBroken;
    private bool _hasSpoken;
    private bool _hasLoaded;
    private bool _isDisposed;

    public EngineChannel(string engine, EngineDevice device, ZmtpListener listener, EngineUpdateCall update, EngineOptions options, Farewells farewells)
    {
        Name = $"{engine} {device}";
        Device = device;
        _listener = listener;
        _update = update;
        _options = options;
        _farewells = farewells;
    }

    public string Name { get; }

    public EngineDevice Device { get; }

    /// <summary>What a failure means for the rank's weights, in a sentence that goes on.</summary>
    private string Torn => _hasLoaded ? "; its weights are of two checkpoints now" : "; it was handed nothing yet";

    public async Task OpenAsync(SlotMemory memory, CancellationToken cancellationToken)
    {
        if (memory is HostSlotMemory != Device.IsHost || (memory is CudaSlotMemory cuda && cuda.DeviceUuid != Device.Id))
        {
            throw Failure(EngineError.NotSupported, "opening the slots", "the slots are not in the memory of its device");
        }

        _memory = memory;
        using var opening = After(_options.OpenTimeout);
        using (var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _update.Ended, opening.Token))
        {
            try
            {
                _connection = await _listener.AcceptAsync(stop.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                throw await NotConnectedAsync(opening).ConfigureAwait(false);
            }
        }

        _listener.Dispose();
        EngineMessages.WriteMemory(Begin(), memory);
        await AskAsync("opening the slots", opening, _options.AbortTimeout, cancellationToken).ConfigureAwait(false);
    }

    public async Task LoadAsync(ImmutableArray<TensorRecord> tensors, CancellationToken cancellationToken)
    {
        foreach (var tensor in tensors)
        {
            if (EngineMessages.Check(tensor, _memory!) is { } wrong)
            {
                throw Failure(EngineError.NotSupported, "loading a bucket", wrong);
            }
        }

        EngineMessages.WriteTensors(Begin(), tensors);
        _hasLoaded = true;
        using var loading = After(_options.LoadTimeout);
        await AskAsync("loading a bucket", loading, _options.AbortTimeout, cancellationToken).ConfigureAwait(false);
    }

    // Versions of checkpoint-engine before two end markers do all that follows the last bucket before they answer this one, hence one deadline for both.
    public Task ReleaseAsync(CancellationToken cancellationToken)
    {
        EngineMessages.WriteEnd(Begin());
        _finishing = After(_options.FinishTimeout);
        return AskAsync("letting go of the slots", _finishing, _options.AbortTimeout, cancellationToken);
    }

    public async Task FinishAsync(CancellationToken cancellationToken)
    {
        EngineMessages.WriteEnd(Begin());
        try
        {
            // A rank may be done long before the others, on whom the verdict waits.
            await AskAsync("finishing", _finishing!, _options.LoadTimeout, cancellationToken).ConfigureAwait(false);
        }
        catch (EngineException e) when (e.Error == EngineError.Died && _update.Verdict is { IsCompletedSuccessfully: true, Result: null })
        {
            // One of those versions: it went away after the first end marker, and its engine reports success.
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _finishing!.Token);
        try
        {
            if (await _update.Verdict.WaitAsync(stop.Token).ConfigureAwait(false) is { } failure)
            {
                throw failure;
            }
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw new EngineException(EngineError.Deadline, $"engine {Name}: every bucket is loaded, but its request did not end within {_finishing}; look at its log", e);
        }

        _isFinished = true;
    }

    public async Task AbortAsync(string reason)
    {
        if (_isFinished || _isAborted)
        {
            return;
        }

        _isAborted = true;
        var isConnected = _connection is not null;
        var isTold = false;
        var farewell = _farewells.Begin(async stop => isTold = await TellAsync($"p2pweights: the update failed{(_hasLoaded ? ", and these weights are of two checkpoints" : " before this rank was handed any of it")}: {reason}", stop).ConfigureAwait(false));

        // One that has not connected may take long, and holds nothing of the update.
        if (isConnected)
        {
            await farewell.WaitAsync(_options.AbortTimeout).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        _update.Abandon(reason, farewell.IsCompleted && isTold);
    }

    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        if (_isFinished)
        {
            await CloseAsync().ConfigureAwait(false);
        }
        else
        {
            await AbortAsync("it was given up").ConfigureAwait(false);
        }

        await _update.DisposeAsync().ConfigureAwait(false);
        _finishing?.Dispose();
    }

    /// <summary>Tells the rank that its update has failed as soon as it can be told, and closes the connection. Never throws for what the engine does.</summary>
    /// <returns>False when it could not be told.</returns>
    private async Task<bool> TellAsync(string reason, CancellationToken stop)
    {
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(stop);
        deadline.CancelAfter(_options.FarewellTimeout);
        using var unconnected = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, _update.NobodyComes);
        try
        {
            _connection ??= await _listener.AcceptAsync(unconnected.Token).ConfigureAwait(false);
            if (_isBroken)
            {
                return false;
            }

            if (_connection.IsWaiting)
            {
                await _connection.ReceiveAsync(deadline.Token).ConfigureAwait(false);
            }

            EngineMessages.WriteFailure(Begin(), reason);
            await _connection.SendAsync(_message.WrittenMemory, deadline.Token).ConfigureAwait(false);
            if (!_hasSpoken)
            {
                // In the place of the slot memory it cannot be raised: the rank answers that this is no slot memory, and raises at our next word.
                await _connection.ReceiveAsync(deadline.Token).ConfigureAwait(false);
                await _connection.SendAsync(_message.WrittenMemory, deadline.Token).ConfigureAwait(false);
            }

            return true;
        }
        catch (Exception e) when (e is IOException or InvalidDataException or SocketException or OperationCanceledException)
        {
            // It is dead, does not come, or does not answer: nothing can be said to it.
            return false;
        }
        finally
        {
            await CloseAsync().ConfigureAwait(false);
        }
    }

    private async Task CloseAsync()
    {
        _listener.Dispose();
        if (_connection is not null)
        {
            await _connection.DisposeAsync().ConfigureAwait(false);
        }
    }

    private ArrayBufferWriter<byte> Begin()
    {
        _message.ResetWrittenCount();
        return _message;
    }

    /// <summary>Sends the message and examines the answer: empty for success, else the traceback of what the engine's code raised.</summary>
    /// <param name="deadline">May hold for several questions.</param>
    /// <param name="patience">How long the engine's verdict is awaited when the rank goes away instead.</param>
    private async Task AskAsync(string doing, Deadline deadline, TimeSpan patience, CancellationToken cancellationToken)
    {
        // Before anything is sent: then the engine can still be told that there is no more to come.
        cancellationToken.ThrowIfCancellationRequested();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _update.Failed, deadline.Token);
        byte[] reply;
        try
        {
            _isBroken = true;
            await _connection!.SendAsync(_message.WrittenMemory, stop.Token).ConfigureAwait(false);
            (_isBroken, _hasSpoken) = (false, true);
            reply = await _connection.ReceiveAsync(stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw _update.Failed.IsCancellationRequested
                ? Wrapped(doing, await _update.Verdict.ConfigureAwait(false))
                : Failure(EngineError.Deadline, doing, $"no answer within {deadline}{Torn}; restart it or update it again");
        }
        catch (InvalidDataException e)
        {
            throw Failure(EngineError.Protocol, doing, $"{e.Message}{Torn}", e);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw await DiedAsync(doing, e, patience, cancellationToken).ConfigureAwait(false);
        }

        if (reply.Length > 0)
        {
            var traceback = EngineText.Clean(reply);
            throw new EngineException(EngineError.Raised, $"engine {Name}, {doing}, raised: {EngineText.LastLine(traceback)}") { Traceback = traceback };
        }
    }

    /// <summary>Its process is gone, or left the update; the engine's answer, if it comes soon, says more.</summary>
    private async Task<EngineException> DiedAsync(string doing, Exception cause, TimeSpan patience, CancellationToken cancellationToken)
    {
        try
        {
            return await _update.Verdict.WaitAsync(patience, cancellationToken).ConfigureAwait(false) is { } verdict
                ? Wrapped(doing, verdict)
                : Failure(EngineError.Died, doing, "it left the update before the end, and reported success", cause);
        }
        catch (TimeoutException)
        {
            return Failure(EngineError.Died, doing, $"{cause.Message}: its process ended, or left the update", cause);
        }
    }

    private async Task<EngineException> NotConnectedAsync(Deadline opening)
    {
        if (_update.Ended.IsCancellationRequested)
        {
            return await _update.Verdict.ConfigureAwait(false) is { } verdict
                ? Wrapped("asked to begin", verdict)
                : Failure(EngineError.Protocol, "asked to begin", "it reported success without a connection of this rank; does it use this GPU? Name those it uses with ?gpus=");
        }

        return Failure(
            EngineError.Deadline,
            "asked to begin",
            $"no process connected to {_listener.Address} within {opening}; " + (_listener.LastRefusal
                ?? "does the engine use this GPU (name those it uses with ?gpus=), and does it share the network name space of this node?"));
    }

    private Deadline After(TimeSpan timeout) => new(timeout, _options.Time);

    private EngineException Wrapped(string doing, EngineException? verdict) => new(verdict!.Error, $"rank {Device}, {doing}: {verdict.Message}", verdict) { Traceback = verdict.Traceback };

    private EngineException Failure(EngineError error, string doing, string what, Exception? cause = null) => new(error, $"engine {Name}, {doing}: {what}", cause);

    /// <summary>When the rank has had its time; as text how long that is.</summary>
    private sealed class Deadline(TimeSpan timeout, TimeProvider time) : IDisposable
    {
        private readonly CancellationTokenSource _source = new(timeout, time);

        public CancellationToken Token => _source.Token;

        public override string ToString() => $"{timeout.TotalSeconds:0.#} s";

        public void Dispose() => _source.Dispose();
    }
}
