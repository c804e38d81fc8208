namespace P2PWeights.Client;

/// <summary>What was started, to be ended in the opposite order: by a failed start, or by the stop. One part that fails to end keeps no other from ending.</summary>
internal sealed class Teardown : IAsyncDisposable
{
    private readonly Stack<Func<ValueTask>> _ends = new();

    public T Add<T>(T part)
        where T : IAsyncDisposable
    {
        _ends.Push(part.DisposeAsync);
        return part;
    }

    public T AddSync<T>(T part)
        where T : IDisposable
    {
        _ends.Push(() =>
        {
            part.Dispose();
            return ValueTask.CompletedTask;
        });
        return part;
    }

    public async ValueTask DisposeAsync()
    {
        List<Exception> failures = [];
        while (_ends.TryPop(out var end))
        {
            try
            {
                await end().ConfigureAwait(false);
            }
            catch (Exception e)
            {
                // Not lost: thrown below, when locks, sockets and files of the others are given back.
                failures.Add(e);
            }
        }

        if (failures.Count > 0)
        {
            throw new AggregateException(failures);
        }
    }
}
