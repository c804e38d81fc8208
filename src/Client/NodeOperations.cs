namespace P2PWeights.Client;

/// <summary>
/// The requests under way in a node. Every one of them runs through here, so that it is measured, so that failures come out as <see cref="NodeException"/>,
/// and so that a stop cancels them all and waits for their end before the parts that they use are taken down.
/// </summary>
internal sealed class NodeOperations(TimeProvider time) : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _running;
    private bool _stopped;

    /// <summary>Runs one request; its token is cancelled when the caller goes away and when the node stops.</summary>
    /// <param name="name">What it is, for the measurements.</param>
    /// <param name="outcomeOf">What a result is counted as; null when every result is a success.</param>
    public async Task<T> RunAsync<T>(string name, Func<CancellationToken, Task<T>> operation, CancellationToken cancellationToken, Func<T, string>? outcomeOf = null)
    {
        Enter();
        var started = time.GetTimestamp();
        try
        {
            var result = await TranslateAsync(operation, cancellationToken).ConfigureAwait(false);
            NodeMetrics.RequestEnded(name, outcomeOf?.Invoke(result) ?? NodeMetrics.Ok, time.GetElapsedTime(started));
            return result;
        }
        catch (OperationCanceledException)
        {
            NodeMetrics.RequestEnded(name, NodeMetrics.Cancelled, time.GetElapsedTime(started));
            throw;
        }
        catch (NodeException e)
        {
            NodeMetrics.RequestEnded(name, e.Error.ToString(), time.GetElapsedTime(started));
            throw;
        }
        finally
        {
            Leave();
        }
    }

    /// <inheritdoc cref="RunAsync{T}"/>
    public Task RunAsync(string name, Func<CancellationToken, Task> operation, CancellationToken cancellationToken) =>
        RunAsync(
            name,
            async token =>
            {
                await operation(token).ConfigureAwait(false);
                return true;
            },
            cancellationToken);

    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _stopped = true;
            if (_running == 0)
            {
                _drained.TrySetResult();
            }
        }

        await _stopping.CancelAsync().ConfigureAwait(false);
        await _drained.Task.ConfigureAwait(false);
        _stopping.Dispose();
    }

    private async Task<T> TranslateAsync<T>(Func<CancellationToken, Task<T>> operation, CancellationToken cancellationToken)
    {
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
            return await operation(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw Stopping();
        }
        catch (Exception e) when (e is not NodeException && NodeFailure.TryTranslate(e, out var failure))
        {
            throw failure;
        }
    }

    private static NodeException Stopping() =>
        new(NodeError.Failed, "the node is stopping; what was fetched is kept, ask again when it runs");

    private void Enter()
    {
        lock (_lock)
        {
            if (_stopped)
            {
                throw Stopping();
            }

            _running++;
        }
    }

    private void Leave()
    {
        lock (_lock)
        {
            if (--_running == 0 && _stopped)
            {
                _drained.TrySetResult();
            }
        }
    }
}
